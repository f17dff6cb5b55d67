// Cards of calls that ring for a person.

import { Bell } from "./bell.js";
import { cloudName, shortID } from "./names.js";
import { say } from "./view.js";

/** @typedef {import("./api.js").Ring} Ring */

export class Rings {
  /** @type {Map<string, HTMLElement>} */
  #cards = new Map();
  #bell = new Bell();
  #place;
  #answer;
  #decline;

  /** @param {HTMLElement} place @param {(ring: Ring) => void} answer @param {(ring: Ring) => void} decline */
  constructor(place, answer, decline) {
    this.#place = place;
    this.#answer = answer;
    this.#decline = decline;
  }

  /** @param {Ring[]} rings */
  show(rings) {
    for (const [id, card] of this.#cards) {
      if (rings.some((r) => r.id === id)) continue;
      card.remove();
      this.#cards.delete(id);
    }
    for (const ring of rings) {
      if (this.#cards.has(ring.id)) continue;
      const card = this.#card(ring);
      this.#cards.set(ring.id, card);
      this.#place.append(card);
      say("The bot is calling.");
    }
    this.#bell.ring(rings.length > 0 && this.#place.checkVisibility());
  }

  /** No sound before the next ring. */
  hush() {
    this.#bell.ring(false);
  }

  /** @param {Ring} ring */
  #card(ring) {
    const card = document.createElement("section");
    card.className = "card ring";
    const words = document.createElement("div");
    const title = document.createElement("h2");
    title.id = `ring-${ring.id}`;
    title.textContent = "The bot is calling";
    card.setAttribute("aria-labelledby", title.id);
    const text = document.createElement("p");
    const to = ring.to ? `, for ${shortID(ring.to)}` : "";
    text.textContent = `By ${cloudName(ring.cloud)}${to}, until ${new Date(ring.until).toLocaleTimeString()}`;
    words.append(title, text);
    const buttons = document.createElement("div");
    buttons.append(button("Answer", "main", () => this.#answer(ring)), button("Decline", "plain", () => this.#decline(ring)));
    card.append(words, buttons);
    return card;
  }
}

/** @param {string} text @param {string} kind @param {() => void} act */
function button(text, kind, act) {
  const b = document.createElement("button");
  Object.assign(b, { type: "button", className: kind, textContent: text });
  b.addEventListener("click", act);
  return b;
}
