// The person's own media: microphone out, the call's sound in.

import { insecureProblem, mediaProblem, microphoneProblem } from "./problems.js";

/** How long gathering addresses may take: on one machine it takes none. */
const GATHER = 2000;
/** How long a path that broke may take to come back. */
const PATIENCE = 8000;
/** A key, and the pause behind it, in ms. */
const TONE = 120;
const PAUSE = 80;

/**
 * @param {boolean} clean the browser works on the voice, as it does in meetings
 * @returns {Promise<MediaStream>}
 */
export async function openMicrophone(clean) {
  if (!navigator.mediaDevices?.getUserMedia) throw insecureProblem();
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: clean, noiseSuppression: clean, autoGainControl: clean },
    });
  } catch (error) {
    throw microphoneProblem(error);
  }
}

/** @param {MediaStream} stream */
export function closeMicrophone(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** One connection, from offer to close. */
export class Line {
  #peer = new RTCPeerConnection();
  #audio = new Audio();
  #track;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #broken;
  #closed = false;

  /** @type {(problem: Error) => void} */
  onProblem = () => {};
  /** The browser plays nothing before a click. @type {() => void} */
  onSilent = () => {};

  /** @param {MediaStream} microphone */
  constructor(microphone) {
    this.#track = microphone.getAudioTracks()[0];
    this.#peer.addTransceiver(this.#track, { direction: "sendrecv", streams: [microphone] });
    this.#audio.autoplay = true;
    this.#peer.addEventListener("track", ({ track, streams }) => this.#play(streams[0] ?? new MediaStream([track])));
    this.#peer.addEventListener("connectionstatechange", () => this.#changed());
  }

  /** @returns {Promise<string>} the offer, with all addresses in it */
  async offer() {
    await this.#peer.setLocalDescription(await this.#peer.createOffer());
    await gathered(this.#peer);
    return this.#peer.localDescription?.sdp ?? "";
  }

  /** @param {string} sdp */
  async accept(sdp) {
    await this.#peer.setRemoteDescription({ type: "answer", sdp });
  }

  /** Muted, the microphone's track is silence, and stays open. @param {boolean} on */
  set muted(on) {
    this.#track.enabled = !on;
  }

  /**
   * Presses a key in the media, as a telephone does (RFC 4733).
   * @param {string} tone
   * @returns {boolean} false: this connection cannot
   */
  press(tone) {
    const sender = this.#peer.getSenders()[0]?.dtmf;
    if (!sender?.canInsertDTMF) return false;
    sender.insertDTMF(sender.toneBuffer + tone, TONE, PAUSE);
    return true;
  }

  /** Tries again to be heard, after a click. */
  async play() {
    try {
      await this.#audio.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") this.onSilent();
    }
  }

  /** Nothing is said or heard any more; the connection stands. */
  silence() {
    this.#closed = true;
    clearTimeout(this.#broken);
    this.#audio.srcObject = null;
  }

  close() {
    this.silence();
    this.#peer.close();
  }

  /** @param {MediaStream} stream */
  #play(stream) {
    this.#audio.srcObject = stream;
    this.play();
  }

  #changed() {
    const state = this.#peer.connectionState;
    if (this.#closed) return;
    clearTimeout(this.#broken);
    if (state === "failed") this.onProblem(mediaProblem());
    if (state === "disconnected") this.#broken = setTimeout(() => this.onProblem(mediaProblem()), PATIENCE);
  }
}

/** @param {RTCPeerConnection} peer @returns {Promise<void>} */
function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHER);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}
