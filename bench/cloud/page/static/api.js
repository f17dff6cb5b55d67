// The emulator's admin API, as docs/EMULATOR.md has it under "People".

import { goneProblem, sentence } from "./problems.js";

/**
 * @typedef {object} Ring somebody is called by the bot
 * @property {string} id
 * @property {string} call
 * @property {"acs" | "graph"} cloud
 * @property {string} operation
 * @property {string} to
 * @property {string} from
 * @property {string} until
 *
 * @typedef {object} PersonState
 * @property {string} pid
 * @property {string} id of the participant, empty until it is in the roster
 * @property {string} name
 * @property {"connecting" | "calling" | "lobby" | "in" | "left"} state
 * @property {string} [reason]
 * @property {boolean} muted
 *
 * @typedef {object} Participant
 * @property {string} id
 * @property {string} raw_id
 * @property {string} name
 * @property {boolean} bot
 * @property {string} pid
 * @property {boolean} muted
 * @property {boolean} on_hold
 * @property {boolean} lobby
 * @property {number} level
 *
 * @typedef {object} Live a call as it is now
 * @property {string} id
 * @property {"acs" | "graph"} cloud
 * @property {string} [kind]
 * @property {string} state
 * @property {boolean} ended
 * @property {{code: number, subCode: number, message: string}} result
 * @property {boolean} bot_in_lobby
 * @property {Participant[]} participants
 * @property {PersonState[]} people
 * @property {{slot: number, raw_id: string, text: string, final: boolean, key?: string}[]} transcripts
 */

/** The emulator refused something. */
export class RefusedError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.name = "RefusedError";
    this.status = status;
  }
}

/**
 * @param {string} method @param {string} path
 * @param {{json?: unknown, sdp?: string, keepalive?: boolean}} [options]
 * @returns {Promise<Response>} of a request that was granted
 */
async function ask(method, path, { json, sdp, keepalive } = {}) {
  const request = { method, keepalive };
  if (sdp !== undefined) Object.assign(request, { body: sdp, headers: { "Content-Type": "application/sdp" } });
  if (json !== undefined) Object.assign(request, { body: JSON.stringify(json), headers: { "Content-Type": "application/json" } });
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw goneProblem();
  }
  if (response.ok) return response;
  const words = await response.text().catch(() => "");
  let message = words.trim() || `${response.status} ${response.statusText}`;
  try {
    message = JSON.parse(words).error ?? message;
  } catch {
    // Not from the emulator's API: as it is.
  }
  throw new RefusedError(response.status, sentence(message));
}

/** @param {string[]} parts */
const path = (...parts) => "/v1/" + parts.map(encodeURIComponent).join("/");

/** @typedef {{path: string, query: Record<string, string>}} Entrance where an offer is posted */

/** @param {string} call @param {string} name @param {boolean} lobby @returns {Entrance} */
export const intoCall = (call, name, lobby) => ({ path: path("calls", call, "people"), query: { name, ...(lobby && { lobby: "true" }) } });
/** @param {"acs" | "graph"} cloud @param {string} name @returns {Entrance} */
export const toBot = (cloud, name) => ({ path: path("people"), query: { cloud, name } });
/** @param {string} ring @param {string} name @returns {Entrance} */
export const answering = (ring, name) => ({ path: path("ringing", ring), query: { name } });

/**
 * @param {Entrance} entrance @param {string} offer
 * @returns {Promise<{answer: string, call: string, pid: string}>}
 */
export async function enter(entrance, offer) {
  const response = await ask("POST", `${entrance.path}?${new URLSearchParams(entrance.query)}`, { sdp: offer });
  return {
    answer: await response.text(),
    call: response.headers.get("X-Mixminus-Call") ?? "",
    pid: response.headers.get("X-Mixminus-Person") ?? "",
  };
}

/** What a person in a call can do. */
export class Me {
  /** @param {string} call @param {string} pid */
  constructor(call, pid) {
    this.call = call;
    this.pid = pid;
  }

  #at(/** @type {string[]} */ ...more) {
    return path("calls", this.call, "people", this.pid, ...more);
  }

  leave() {
    // Sent even when the page is closed meanwhile.
    return ask("DELETE", this.#at(), { keepalive: true });
  }

  look() {
    return ask("GET", this.#at());
  }

  /** @param {string} keys */
  keys(keys) {
    return ask("POST", this.#at("keys"), { json: { keys } });
  }

  /** @param {boolean} on */
  mute(on) {
    return ask("POST", this.#at("mute"), { json: { on } });
  }

  /** @param {string} text */
  says(text) {
    return ask("POST", this.#at("says"), { json: { text } });
  }

  /** Lets somebody in. @param {string} pid empty for the bot */
  admit(pid) {
    return ask("POST", pid ? path("calls", this.call, "people", pid, "admit") : path("calls", this.call, "admit"));
  }
}

/** @param {string} ring */
export const decline = (ring) => ask("DELETE", path("ringing", ring));

/** From now on calls of the bot ring here, or are taken by the emulator as by default. @param {boolean} on */
export async function takeCalls(on) {
  await ask("PUT", "/v1/callee", { json: on ? { person: true } : { script: "one-callee" } });
}

/** How long to wait before a broken stream of events is asked for again, in ms. */
const AGAIN = 1500;

/** A stream of events that comes back when the emulator does. */
export class Feed {
  /** @type {EventSource} */
  #source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #closed = false;

  /**
   * @param {string} address
   * @param {Record<string, (data: any) => void>} handlers by event
   * @param {(up: boolean) => void} onUp
   */
  constructor(address, handlers, onUp) {
    this.address = address;
    this.handlers = handlers;
    this.onUp = onUp;
    this.#source = this.#open();
  }

  #open() {
    const source = new EventSource(this.address);
    source.addEventListener("open", () => this.onUp(true));
    source.addEventListener("error", () => {
      if (this.#closed) return;
      this.onUp(false);
      // Where there is no answer the browser tries again; where there is a
      // wrong one it does not.
      if (source.readyState === EventSource.CLOSED) this.#timer = setTimeout(() => (this.#source = this.#open()), AGAIN);
    });
    for (const [event, handle] of Object.entries(this.handlers)) {
      source.addEventListener(event, (/** @type {MessageEvent} */ message) => handle(JSON.parse(message.data)));
    }
    return source;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#source.close();
  }
}

/** Calls, and what rings. @param {(state: {calls: any[], ringing: Ring[]}) => void} onState @param {(up: boolean) => void} onUp */
export const watchAll = (onState, onUp) =>
  new Feed("/v1/live/events", { state: ({ calls, ringing }) => onState({ calls: calls ?? [], ringing: ringing ?? [] }) }, onUp);

/** A call without the lists that are empty, as servers may write it. @param {Live} live @returns {Live} */
const whole = (live) => ({ ...live, participants: live.participants ?? [], people: live.people ?? [], transcripts: live.transcripts ?? [] });

/**
 * @param {string} call
 * @param {{state: (live: Live) => void, levels: (l: {levels: Record<string, number>}) => void, end: (live: Live) => void}} handlers
 * @param {(up: boolean) => void} onUp
 */
export const watchCall = (call, { state, levels, end }, onUp) =>
  new Feed(path("calls", call, "live", "events"), { state: (live) => state(whole(live)), levels, end: (live) => end(whole(live)) }, onUp);
