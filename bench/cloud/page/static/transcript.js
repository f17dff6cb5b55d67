// What was understood, as it comes. A sentence grows until it is final.

/**
 * @typedef {object} Line
 * @property {string} id the same while a sentence grows
 * @property {string} who
 * @property {string} text
 * @property {boolean} final
 */

const KEPT = 200;

export class Transcript {
  /** @type {Map<string, {line: HTMLElement, said: HTMLElement, text: string}>} */
  #lines = new Map();

  /** @param {HTMLElement} section is shown with the first line @param {HTMLElement} log */
  constructor(section, log) {
    this.section = section;
    this.log = log;
  }

  clear() {
    this.#lines.clear();
    this.log.replaceChildren();
    this.section.hidden = true;
  }

  /** @param {Line} line */
  show({ id, who, text, final }) {
    // Whoever scrolled up reads, and is left there.
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 24;
    let entry = this.#lines.get(id);
    if (!entry) {
      const line = document.createElement("p");
      const name = document.createElement("strong");
      name.textContent = who;
      const said = document.createElement("span");
      line.append(name, said);
      entry = { line, said, text: "" };
      this.#lines.set(id, entry);
      this.log.append(line);
      this.#forget();
    }
    if (entry.text !== text) entry.said.textContent = entry.text = text;
    entry.said.dataset.final = String(final);
    this.section.hidden = false;
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  #forget() {
    for (const [id, entry] of this.#lines) {
      if (this.#lines.size <= KEPT) return;
      entry.line.remove();
      this.#lines.delete(id);
    }
  }
}
