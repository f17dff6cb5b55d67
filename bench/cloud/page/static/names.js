// What things are called on this page.

/** @typedef {import("./roster.js").Person} Person */

/** @param {{cloud: string, kind?: string}} call */
export function callName({ cloud, kind }) {
  if (cloud === "graph") return kind === "meeting" ? "Teams meeting" : "Teams call";
  return "Communication Services call";
}

/** @param {"acs" | "graph"} cloud */
export const cloudName = (cloud) => (cloud === "graph" ? "Microsoft Teams" : "Communication Services");

/** A raw id without what only machines care for. @param {string} id */
export function shortID(id) {
  const plain = id.replace(/^4:(\+\d)/, "$1").replace(/^8:acs:.*_/, "").replace(/^\d+:(acs|orgid|[a-z]+):/, "");
  return plain.length > 24 ? `${plain.slice(0, 10)}…${plain.slice(-6)}` : plain;
}

/** @param {number} ms */
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const clock = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return s < 3600 ? clock : `${Math.floor(s / 3600)}:${clock}`;
}

/**
 * The roster as the page shows it: who is in, and who waits.
 * @param {import("./api.js").Live} live @param {string} mine the own pid
 * @returns {{inside: Person[], waiting: Person[]}}
 */
export function peopleOf(live, mine) {
  /** @type {Person[]} */
  const all = live.participants.map((p) => ({
    id: p.pid || (p.bot ? "bot" : p.id), level: p.level, muted: p.muted, lobby: p.lobby || (p.bot && live.bot_in_lobby),
    participant: p.id, pid: p.pid,
    name: p.name || (p.bot ? "Bot" : shortID(p.raw_id)),
    kind: p.bot ? "bot" : p.pid === mine ? "me" : p.pid ? "person" : "voice",
    hold: p.on_hold,
  }));
  const known = new Set(all.map((p) => p.id));
  for (const p of live.people) {
    if (p.state === "left" || known.has(p.pid)) continue;
    all.push({
      id: p.pid, participant: p.id, pid: p.pid, name: p.name || "Somebody", kind: p.pid === mine ? "me" : "person",
      muted: p.muted, hold: false, level: -100, lobby: p.state === "lobby",
    });
  }
  // A call of two has no roster, and the bot is in it all the same.
  if ((live.bot_in_lobby || live.state === "connected") && !known.has("bot")) {
    all.push({ id: "bot", participant: "", pid: "", name: "Bot", kind: "bot", muted: false, hold: false, level: -100, lobby: live.bot_in_lobby });
  }
  const order = ["me", "bot", "person", "voice"];
  all.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  return { inside: all.filter((p) => !p.lobby), waiting: all.filter((p) => p.lobby) };
}
