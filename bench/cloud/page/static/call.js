// A person's part in one call, from the offer to the end.

import { enter, Me, RefusedError, watchCall } from "./api.js";
import { Line } from "./webrtc.js";

/** @typedef {import("./api.js").Live} Live */

/**
 * @typedef {object} Listener
 * @property {(live: Live) => void} state
 * @property {(levels: Record<string, number>) => void} levels by participant
 * @property {(problem: unknown) => void} problem it goes on
 * @property {() => void} silent the browser plays nothing before a click
 * @property {(up: boolean) => void} up whether the emulator answers
 * @property {(why: string) => void} end it is over; empty if the person left
 */

export class Call {
  /** @type {Me | undefined} */
  #me;
  #line;
  /** @type {import("./api.js").Feed | undefined} */
  #feed;
  #listener;
  #up = true;
  #over = false;

  /** @param {MediaStream} microphone @param {Listener} listener */
  constructor(microphone, listener) {
    this.#listener = listener;
    this.#line = new Line(microphone);
    this.#line.onProblem = (problem) => {
      if (this.#up) listener.problem(problem); // else that is the reason
    };
    this.#line.onSilent = () => listener.silent();
  }

  /** The own id among the people. */
  get pid() {
    return this.#me?.pid ?? "";
  }

  /** @param {import("./api.js").Entrance} entrance */
  async enter(entrance) {
    const offer = await this.#line.offer();
    const { answer, call, pid } = await enter(entrance, offer);
    this.#me = new Me(call, pid);
    if (this.#over) {
      await this.#me.leave(); // left while the offer was under way
      return;
    }
    await this.#line.accept(answer);
    this.#feed = watchCall(call, {
      state: (live) => this.#state(live),
      levels: ({ levels }) => this.#listener.levels(levels),
      end: (live) => this.#end(endOf(live)),
    }, (up) => this.#reached(up));
  }

  /** @param {boolean} on */
  async mute(on) {
    this.#line.muted = on; // at once, whatever becomes of the request
    await this.#me?.mute(on);
  }

  /** @param {string} tone */
  async press(tone) {
    if (!this.#line.press(tone)) await this.#me?.keys(tone);
  }

  /** @param {string} text */
  async says(text) {
    await this.#me?.says(text);
  }

  /** @param {string} pid empty for the bot */
  async admit(pid) {
    await this.#me?.admit(pid);
  }

  /** Plays what the browser held back until a click. */
  play() {
    return this.#line.play();
  }

  leave() {
    // Said first: who only hangs up has left by themselves. Who is out already,
    // or whose emulator is gone, has left too.
    const said = this.#me?.leave().catch(() => {});
    this.#end("", said);
  }

  /** @param {Live} live */
  #state(live) {
    const mine = live.people.find((p) => p.pid === this.pid);
    if (mine?.state === "left") this.#end(mine.reason || "You are no longer in the call.");
    else this.#listener.state(live);
  }

  /** @param {boolean} up */
  async #reached(up) {
    if (this.#over) return;
    this.#up = up;
    this.#listener.up(up);
    if (up) return;
    // An emulator that was started anew knows nothing of this call.
    try {
      await this.#me?.look();
    } catch (error) {
      if (error instanceof RefusedError && error.status === 404) this.#end("The emulator was started anew, and the call is gone.");
    }
  }

  /** @param {string} why @param {Promise<unknown>} [said] when the media may end */
  #end(why, said) {
    if (this.#over) return;
    this.#over = true;
    this.#feed?.close();
    this.#line.silence();
    if (said) said.then(() => this.#line.close());
    else this.#line.close();
    this.#listener.end(why);
  }
}

/** @param {Live} live */
function endOf({ result }) {
  return result?.message || "The call has ended.";
}
