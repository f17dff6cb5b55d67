// A quiet bell while the page rings: two notes, every three seconds.

const NOTES = [660, 880];
const NOTE = 0.18; // seconds
const EVERY = 3000; // ms
const LOUD = 0.08;

export class Bell {
  /** @type {AudioContext | undefined} */
  #context;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {boolean} on */
  ring(on) {
    if (!on) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#context?.close().catch(() => {});
      this.#context = undefined;
      return;
    }
    // A page that nobody has touched yet may not make a sound.
    if (this.#timer || !navigator.userActivation?.hasBeenActive) return;
    this.#context = new AudioContext();
    this.#strike();
    this.#timer = setInterval(() => this.#strike(), EVERY);
  }

  #strike() {
    const context = this.#context;
    if (!context) return;
    NOTES.forEach((hz, i) => {
      const from = context.currentTime + i * NOTE;
      const tone = new OscillatorNode(context, { frequency: hz });
      const gain = new GainNode(context, { gain: 0 });
      gain.gain.setTargetAtTime(LOUD, from, 0.01);
      gain.gain.setTargetAtTime(0, from + NOTE, 0.08);
      tone.connect(gain).connect(context.destination);
      tone.start(from);
      tone.stop(from + 4 * NOTE);
    });
  }
}
