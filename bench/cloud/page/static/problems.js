// What can go wrong, in words that say what to do.

/**
 * @typedef {object} Problem
 * @property {string} title
 * @property {string} text
 */

/** Something went wrong that has words already. */
export class ProblemError extends Error {
  /** @param {string} title @param {string} text */
  constructor(title, text) {
    super(title);
    this.name = "ProblemError";
    this.text = text;
  }
}

/** The microphone, by the name of the DOMException. @type {Record<string, string[]>} */
const MICROPHONE = {
  NotAllowedError: ["The microphone is blocked", "Allow the microphone for this page: by the icon beside the address, or in the system's privacy settings. Then join again."],
  NotFoundError: ["No microphone found", "Plug in a microphone or headset, and choose it in the system's sound settings. Then join again."],
  NotReadableError: ["The microphone cannot be opened", "Another program may hold it. Close that program, or unplug the microphone and plug it in again. Then join again."],
  AbortError: ["The microphone cannot be opened", "The system stopped it. Unplug it and plug it in again, then join again."],
};

/** @param {unknown} error of getUserMedia @returns {ProblemError} */
export function microphoneProblem(error) {
  const name = error instanceof DOMException ? error.name : "";
  const words = MICROPHONE[name] ?? ["The microphone cannot be opened", `The browser says: ${text(error)}.`];
  return new ProblemError(words[0], words[1]);
}

/** Browsers give the microphone to https and to this machine's own pages only. */
export function insecureProblem() {
  const here = new URL(location.href);
  here.hostname = "127.0.0.1";
  return new ProblemError(
    "This address gets no microphone",
    `Browsers open the microphone for https and for pages of this machine only. Open ${here.origin} instead; from another machine, tunnel the port: ssh -L ${here.port}:127.0.0.1:${here.port}.`,
  );
}

export function goneProblem() {
  return new ProblemError(
    "The emulator does not answer",
    "Is it still running? Start it again with mixminus emulate or mixminus demo --browser. This page finds it by itself.",
  );
}

export function mediaProblem() {
  return new ProblemError(
    "No path for the sound",
    "Browser and emulator could not reach each other by UDP on this machine. A firewall, a VPN or a browser extension that hides local addresses may be in the way. Then join again.",
  );
}

export function silentProblem() {
  return new ProblemError("The browser keeps the sound off", "It waits for a click before it plays anything.");
}

/** @param {unknown} error @returns {Problem} */
export function problemOf(error) {
  if (error instanceof ProblemError) return { title: error.message, text: error.text };
  return { title: "That did not work", text: sentence(text(error)) };
}

/** @param {unknown} error */
function text(error) {
  return error instanceof Error ? error.message : String(error);
}

/** The emulator's errors, without the name of its package. @param {string} words */
export function sentence(words) {
  const plain = words.replace(/^cloud: /, "");
  const first = plain.charAt(0).toUpperCase() + plain.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
