// How loud somebody is, for the eye.

/** Below this many dBFS is quiet, and from here on somebody talks. */
const QUIET = -60;
const TALKING = -42;
const LOUD = -8;
/** How long somebody still counts as talking after the last word, in ms. */
const HOLD = 450;

/**
 * The part of the meter that is filled.
 * @param {number} dbfs level, -Infinity for silence
 * @returns {number} 0 to 1
 */
export function filled(dbfs) {
  return Math.min(1, Math.max(0, (dbfs - QUIET) / (LOUD - QUIET))) || 0;
}

/** Paints a level into the bar of a meter. @param {HTMLElement} bar @param {number} dbfs */
export function paint(bar, dbfs) {
  // Styles by CSSOM: the page's policy refuses those in the markup.
  bar.style.transform = `translateX(${Math.round((filled(dbfs) - 1) * 100)}%)`;
}

/** Says from levels who talks, without flicker between words. */
export class Talk {
  #until = 0;

  /** @param {number} dbfs @param {number} [now] ms @returns {boolean} */
  hears(dbfs, now = performance.now()) {
    if (dbfs > TALKING) this.#until = now + HOLD;
    return now < this.#until;
  }
}

/** Listens to a stream of this page, to show that it is alive. */
export class StreamLevel {
  #context;
  #analyser;
  #samples;

  /** @param {MediaStream} stream */
  constructor(stream) {
    this.#context = new AudioContext();
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    // Suspended if the page was not touched yet; it only shows nothing then.
    this.#context.resume().catch(() => {});
  }

  /** @returns {number} dBFS of the last 20 ms or so */
  read() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const s of this.#samples) sum += s * s;
    return 10 * Math.log10(sum / this.#samples.length);
  }

  close() {
    this.#context.close().catch(() => {});
  }
}
