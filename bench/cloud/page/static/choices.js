// What one can do here: join a call that runs, call the bot, or be called.

import { intoCall, toBot } from "./api.js";
import { callName, shortID } from "./names.js";

/**
 * @typedef {object} Choice
 * @property {string} id
 * @property {"join" | "call" | "wait"} action
 * @property {string} title
 * @property {string} text
 * @property {boolean} [lobby] it has one
 * @property {string} heading of the call, until more is known
 * @property {(name: string, lobby: boolean) => import("./api.js").Entrance} [entrance] none: wait to be called
 */

/** @type {Choice[]} */
const ALWAYS = [
  { id: "call-acs", action: "call", heading: "Communication Services call", title: "Call the bot by Communication Services", text: "It rings by Event Grid’s IncomingCall.", entrance: (name) => toBot("acs", name) },
  { id: "call-graph", action: "call", heading: "Teams call", title: "Call the bot in Teams", text: "It rings by Microsoft Graph’s notification.", entrance: (name) => toBot("graph", name) },
  { id: "wait", action: "wait", heading: "", title: "Wait for the bot to call me", text: "Calls that the bot makes ring on this page." },
];

export class Choices {
  /** @type {Map<string, {choice: Choice, box: HTMLElement, radio: HTMLInputElement, text: HTMLElement, lobby?: HTMLInputElement}>} */
  #shown = new Map();
  #touched = false;
  #place;
  #changed;

  /** @param {HTMLElement} place @param {(choice: Choice) => void} changed */
  constructor(place, changed) {
    this.#place = place;
    this.#changed = changed;
    place.addEventListener("change", () => {
      this.#touched = true;
      changed(this.chosen);
    });
    this.show([]);
  }

  /** @returns {Choice} */
  get chosen() {
    for (const { choice, radio } of this.#shown.values()) if (radio.checked) return choice;
    return ALWAYS[0];
  }

  /** Whether to wait in the lobby of the chosen call. */
  get lobby() {
    return this.#shown.get(this.chosen.id)?.lobby?.checked ?? false;
  }

  /** @param {boolean} off */
  disable(off) {
    for (const { radio } of this.#shown.values()) radio.disabled = off;
  }

  /** @param {any[]} calls that run */
  show(calls) {
    const now = [...calls.filter((c) => c.state === "connected" && !c.ended).map(joining), ...ALWAYS];
    const before = this.chosen.id;
    for (const [id, { box }] of this.#shown) {
      if (now.some((c) => c.id === id)) continue;
      box.remove();
      this.#shown.delete(id);
    }
    now.forEach((choice, i) => this.#put(choice, i));
    const still = this.#shown.get(before);
    // A call that runs is what most come for, unless they said otherwise.
    const wanted = this.#touched && still ? still : this.#shown.get(now[0].id);
    if (wanted) wanted.radio.checked = true;
    this.#changed(this.chosen);
  }

  /** @param {Choice} choice @param {number} index */
  #put(choice, index) {
    const old = this.#shown.get(choice.id);
    if (old) {
      old.choice = choice;
      if (old.text.textContent !== choice.text) old.text.textContent = choice.text;
      return;
    }
    const box = element("div", "choice");
    const radio = input("radio");
    Object.assign(radio, { name: "choice", value: choice.id });
    const text = element("small", "", choice.text);
    const label = element("label");
    label.append(radio, element("strong", "", choice.title), text);
    box.append(label);
    let lobby;
    if (choice.lobby) {
      lobby = input("checkbox");
      const wait = element("label", "lobby-wait");
      wait.append(lobby, element("span", "", "Wait in the lobby first"));
      box.append(wait);
    }
    this.#shown.set(choice.id, { choice, box, radio, text, lobby });
    this.#place.insertBefore(box, this.#place.children[index] ?? null);
  }
}

/** @param {string} tag @param {string} [kind] @param {string} [text] */
function element(tag, kind = "", text = "") {
  return Object.assign(document.createElement(tag), { className: kind, textContent: text });
}

/** @param {string} type */
function input(type) {
  return Object.assign(document.createElement("input"), { type });
}

/** @param {any} call @returns {Choice} */
function joining(call) {
  const others = call.speakers?.length ?? 0;
  const who = others === 0 ? "The bot is in it" : others === 1 ? "The bot is in it, and one other" : `The bot is in it, and ${others} others`;
  const name = callName(call);
  return {
    id: `join-${call.id}`, action: "join", heading: name, title: `Join the ${name}`, text: `${who} · ${shortID(call.id)}`,
    lobby: call.cloud === "graph" && call.kind !== "peer-to-peer",
    entrance: (name, lobby) => intoCall(call.id, name, lobby),
  };
}
