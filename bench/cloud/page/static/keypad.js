// The telephone's keys, by click and by keyboard.

const KEYS = [
  ["1", ""], ["2", "ABC"], ["3", "DEF"],
  ["4", "GHI"], ["5", "JKL"], ["6", "MNO"],
  ["7", "PQRS"], ["8", "TUV"], ["9", "WXYZ"],
  ["*", ""], ["0", "+"], ["#", ""],
];
/** @type {Record<string, string>} */
const SPOKEN = { "*": "star", "#": "hash" };
const SHOWN = 18; // of the keys that were pressed

/** How long a key stays lit that was typed, in ms. */
const LIT = 140;

export class Keypad {
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();
  #sent;
  #press;

  /**
   * @param {HTMLElement} place of the buttons
   * @param {HTMLOutputElement} sent shows what was pressed
   * @param {(tone: string) => void} press
   */
  constructor(place, sent, press) {
    this.#sent = sent;
    this.#press = press;
    for (const [tone, letters] of KEYS) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "key";
      button.dataset.tone = tone;
      if (SPOKEN[tone]) button.setAttribute("aria-label", SPOKEN[tone]);
      const small = document.createElement("small");
      small.textContent = letters;
      small.setAttribute("aria-hidden", "true");
      button.append(tone, small);
      button.addEventListener("click", () => this.press(tone));
      this.#buttons.set(tone, button);
      place.append(button);
    }
    document.addEventListener("keydown", (event) => this.#typed(event));
    this.enable(false);
  }

  /** @param {boolean} on */
  enable(on) {
    for (const button of this.#buttons.values()) button.disabled = !on;
    if (on) this.#sent.value = "";
  }

  /** @param {string} tone */
  press(tone) {
    const button = this.#buttons.get(tone);
    if (!button || button.disabled) return;
    button.classList.add("down");
    setTimeout(() => button.classList.remove("down"), LIT);
    this.#sent.value = (this.#sent.value + tone).slice(-SHOWN);
    this.#press(tone);
  }

  /** @param {KeyboardEvent} event */
  #typed(event) {
    // A digit in a text field is text, and Ctrl-1 is the browser's.
    const field = /** @type {HTMLElement} */ (event.target).closest?.("input, textarea, select");
    if (field || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    this.press(event.key);
  }
}
