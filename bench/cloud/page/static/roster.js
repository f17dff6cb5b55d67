// Who is in the call, who talks, and who waits in the lobby.

import { paint, Talk } from "./meter.js";
import { setText } from "./view.js";

/**
 * @typedef {object} Person
 * @property {string} id of the line in the list
 * @property {string} participant id in the call, by which levels come
 * @property {string} pid of somebody in a browser, else empty
 * @property {string} name
 * @property {"me" | "bot" | "person" | "voice"} kind a voice is played by the emulator
 * @property {boolean} muted
 * @property {boolean} hold
 * @property {boolean} lobby waits to be let in
 * @property {number} level dBFS
 */

const KINDS = { me: "You", bot: "Your bot", person: "In a browser", voice: "Emulated" };

/** A robot's head, for the one who has no initials. */
const BOT = ["M5 9.500h14v9H5zM12 9.500V6", "M9.200 13.200v1.600M14.800 13.200v1.600M2.500 13v3M21.500 13v3", "M12 4.200v.2"];

/** One line of the list. */
class Row {
  #doing;
  #name;
  #bar;
  #level;
  #talk = new Talk();

  /** @param {Person} person @param {((person: Person) => void)} [admit] */
  constructor(person, admit) {
    this.element = element("li", "person");
    this.element.dataset.id = person.id;
    this.element.dataset.kind = person.kind;
    const face = element("span", "face");
    face.setAttribute("aria-hidden", "true");
    face.append(person.kind === "bot" ? drawing(BOT) : initials(person.name));
    const who = element("div", "who");
    this.#name = element("strong");
    this.#doing = element("span", "doing");
    who.append(this.#name, this.#doing);
    this.element.append(face, who);
    if (admit) {
      const button = /** @type {HTMLButtonElement} */ (element("button", "plain"));
      button.type = "button";
      // Whoever is alone in the call must be able to let themselves in.
      button.textContent = person.kind === "me" ? "Admit me" : "Admit";
      if (person.kind !== "me") button.setAttribute("aria-label", `Admit ${person.name}`);
      button.addEventListener("click", () => admit(person));
      if (person.pid || person.kind === "bot") this.element.append(button);
      return;
    }
    this.#level = element("span", "level");
    this.#level.setAttribute("aria-hidden", "true");
    this.#bar = document.createElement("i");
    this.#level.append(this.#bar);
    this.element.append(this.#level);
  }

  /** @param {Person} person */
  show(person) {
    setText(this.#name, person.name);
    const talking = !person.muted && this.#talk.hears(person.level);
    const kind = KINDS[person.kind];
    const does = [kind, person.lobby && "wants to join", person.hold && "on hold", person.muted && "muted", talking && "talking"];
    setText(this.#doing, does.filter(Boolean).join(" · "));
    this.element.dataset.talking = String(talking);
    if (!this.#level || !this.#bar) return;
    this.#level.dataset.muted = String(person.muted);
    paint(this.#bar, person.muted ? -Infinity : person.level);
  }
}

/** Keeps a list of people in the page as it is in the call. */
export class PeopleList {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #list;
  #admit;

  /** @param {HTMLElement} list @param {(person: Person) => void} [admit] for a lobby */
  constructor(list, admit) {
    this.#list = list;
    this.#admit = admit;
  }

  /** Rows stay where they are, so that focus does. @param {Person[]} people in order */
  show(people) {
    const here = new Set(people.map((p) => p.id));
    for (const [id, row] of this.#rows) {
      if (here.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    for (const [i, person] of people.entries()) {
      let row = this.#rows.get(person.id);
      if (!row) {
        row = new Row(person, this.#admit);
        this.#rows.set(person.id, row);
        this.#list.insertBefore(row.element, this.#list.children[i] ?? null);
      }
      row.show(person);
    }
  }
}

/** @param {string} name */
function initials(name) {
  if (/^\+?\d+$/.test(name)) return name.slice(-2); // a telephone's
  const words = name.trim().split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((w) => [...w][0].toUpperCase()).join("") || "?";
}

/** @param {string[]} paths */
function drawing(paths) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  for (const d of paths) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** @param {string} tag @param {string} [name] */
function element(tag, name) {
  const e = document.createElement(tag);
  if (name) e.className = name;
  return e;
}
