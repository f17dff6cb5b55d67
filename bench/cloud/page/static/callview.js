// The call as it is shown: state, people, levels, keypad, transcript.

import { Keypad } from "./keypad.js";
import { paint, StreamLevel } from "./meter.js";
import { callName, duration, peopleOf, shortID } from "./names.js";
import { PeopleList } from "./roster.js";
import { Transcript } from "./transcript.js";
import { byID, say, setText } from "./view.js";

/** @typedef {import("./api.js").Live} Live */
/** @typedef {import("./roster.js").Person} Person */

/** What the own state is called, and which colour it has. @type {Record<string, string[]>} */
const STATES = {
  connecting: ["Connecting…", "busy"],
  calling: ["Calling the bot…", "busy"],
  lobby: ["You wait in the lobby", "busy"],
  in: ["Connected", "on"],
};
const BARS_PER_SECOND = 20;

/**
 * @typedef {object} Acts what the person can do in the view
 * @property {(person: Person) => void} admit
 * @property {(tone: string) => void} press
 * @property {(muted: boolean) => void} mute
 * @property {(text: string) => void} says
 * @property {() => void} leave
 */

export class CallView {
  #inside;
  #waiting;
  #keypad;
  #transcript;
  /** @type {StreamLevel | undefined} */
  #mine;
  /** @type {number | undefined} */
  #timer;
  /** @type {{inside: Person[], waiting: Person[]}} */
  #people = { inside: [], waiting: [] };
  #muted = false;
  #since = 0;

  /** @param {Acts} acts */
  constructor(acts) {
    this.#inside = new PeopleList(byID("people-list"));
    this.#waiting = new PeopleList(byID("lobby-list"), acts.admit);
    this.#keypad = new Keypad(byID("keys"), byID("keys-sent"), acts.press);
    this.#transcript = new Transcript(byID("transcript"), byID("transcript-log"));
    byID("mute").addEventListener("click", () => {
      this.#showMuted(!this.#muted);
      acts.mute(this.#muted);
    });
    byID("leave").addEventListener("click", acts.leave);
    byID("words-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      const text = byID("words-text").value.trim();
      if (text) acts.says(text);
      byID("words-text").value = "";
    });
  }

  /** How long the person was in the call, as text; empty if never. */
  get time() {
    return this.#since ? duration(Date.now() - this.#since) : "";
  }

  /** @param {string} title @param {MediaStream} microphone */
  open(title, microphone) {
    this.#since = 0;
    this.#people = { inside: [], waiting: [] };
    this.#showPeople();
    this.#showMuted(false);
    this.#transcript.clear();
    byID("words").open = false;
    setText(byID("call-title"), title);
    setText(byID("call-time"), "");
    this.state("Connecting…", "busy");
    this.#mine = new StreamLevel(microphone);
    this.#timer = setInterval(() => this.#tick(), 1000 / BARS_PER_SECOND);
  }

  close() {
    clearInterval(this.#timer);
    this.#mine?.close();
    this.#keypad.enable(false);
  }

  /** @param {string} text @param {string} kind */
  state(text, kind) {
    const e = byID("call-state");
    if (e.textContent === text) return;
    e.textContent = text;
    e.dataset.state = kind;
    say(text);
  }

  /** @param {Live} live @param {string} pid the own */
  show(live, pid) {
    setText(byID("call-title"), callName(live));
    document.title = `${callName(live)} · mixminus`;
    const mine = live.people.find((p) => p.pid === pid);
    const [text, kind] = STATES[mine?.state ?? "connecting"] ?? STATES.connecting;
    this.state(text, kind);
    const inside = mine?.state === "in";
    if (inside && !this.#since) {
      this.#since = Date.now();
      this.#keypad.enable(true);
    }
    if (mine && mine.muted !== this.#muted) this.#showMuted(mine.muted);
    const before = this.#people;
    this.#people = peopleOf(live, pid);
    this.#tell(before);
    this.#showPeople();
    this.#showTranscripts(live);
  }

  /** @param {Record<string, number>} levels by participant */
  levels(levels) {
    for (const person of this.#people.inside) person.level = levels[person.participant] ?? -100;
    this.#showPeople();
  }

  /** @param {boolean} muted */
  #showMuted(muted) {
    this.#muted = muted;
    byID("mute").setAttribute("aria-pressed", String(muted));
    setText(byID("mine-text"), muted ? "Muted" : "Microphone");
  }

  #showPeople() {
    const { inside, waiting } = this.#people;
    this.#inside.show(inside);
    this.#waiting.show(waiting);
    byID("lobby").hidden = waiting.length === 0;
    byID("people-none").hidden = inside.length > 0;
    setText(byID("people-count"), inside.length ? String(inside.length) : "");
  }

  /** Says who came and went. @param {{inside: Person[], waiting: Person[]}} before */
  #tell(before) {
    if (before.inside.length + before.waiting.length === 0) return;
    const news = (/** @type {Person[]} */ was, /** @type {Person[]} */ is) =>
      is.filter((p) => p.kind !== "me" && !was.some((q) => q.id === p.id)).map((p) => p.name);
    const { inside, waiting } = this.#people;
    for (const name of news(before.inside, inside)) say(`${name} joined.`);
    for (const name of news(before.waiting, waiting)) say(`${name} waits in the lobby.`);
    for (const name of news([...inside, ...waiting], [...before.inside, ...before.waiting])) say(`${name} left.`);
  }

  /** @param {Live} live */
  #showTranscripts(live) {
    const names = new Map(live.participants.map((p) => [p.raw_id, p.name || (p.bot ? "Bot" : shortID(p.raw_id))]));
    for (const t of live.transcripts) {
      const who = names.get(t.raw_id) ?? (t.raw_id ? shortID(t.raw_id) : "Everybody");
      this.#transcript.show({ id: t.key || `${t.slot} ${t.raw_id} ${t.text}`, who, text: t.text, final: t.final });
    }
  }

  #tick() {
    paint(byID("mine-level"), this.#muted ? -Infinity : this.#mine?.read() ?? -Infinity);
    if (this.#since) setText(byID("call-time"), this.time);
  }
}
