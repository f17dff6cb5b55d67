// Wires the page: the form, the rings, and one call at a time.

import { answering, decline, takeCalls, watchAll } from "./api.js";
import { Call } from "./call.js";
import { CallView } from "./callview.js";
import { Choices } from "./choices.js";
import { callName } from "./names.js";
import { goneProblem, silentProblem } from "./problems.js";
import { Rings } from "./rings.js";
import { byID, hideProblem, say, showNotice, showProblem, showServer, showView } from "./view.js";
import { closeMicrophone, openMicrophone } from "./webrtc.js";

const NAME = "mixminus.name";
/** How long the emulator may be gone before it is said, in ms. */
const PATIENCE = 3000;
const BUTTONS = { join: "Join", call: "Call the bot", wait: "Wait for a call" };

/** @type {Call | undefined} */
let call;
let busy = false;
let waiting = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let goneTimer;

const choices = new Choices(byID("choices"), showChoice);
const rings = new Rings(byID("rings"), (ring) => start(answering(ring.id, nameOf()), callName(ring)), attempt((ring) => decline(ring.id)));
const view = new CallView({
  admit: attempt((person) => call?.admit(person.pid)),
  press: attempt((tone) => call?.press(tone)),
  mute: attempt((on) => call?.mute(on)),
  says: attempt((text) => call?.says(text)),
  leave: () => call?.leave(),
});

/** Runs an act, and shows what went wrong. @template T @param {(arg: T) => unknown} act */
function attempt(act) {
  return async (/** @type {T} */ arg) => {
    try {
      await act(arg);
    } catch (error) {
      showProblem(error);
    }
  };
}

/** @param {import("./choices.js").Choice} choice */
function showChoice({ action }) {
  byID("join-go").textContent = waiting ? "Stop waiting" : busy ? "One moment…" : BUTTONS[action];
  byID("join-go").disabled = busy;
}

function nameOf() {
  return byID("name").value.trim() || "Guest";
}

/** @returns {boolean} */
function checkName() {
  const field = byID("name");
  const ok = field.value.trim() !== "";
  byID("name-error").hidden = ok;
  field.setAttribute("aria-invalid", String(!ok));
  if (!ok) field.focus();
  return ok;
}

async function submit() {
  if (busy) return;
  hideProblem();
  if (waiting) {
    await setWaiting(false);
    return;
  }
  if (!checkName()) return;
  const name = nameOf();
  const choice = choices.chosen;
  if (choice.entrance) await start(choice.entrance(name, choices.lobby), choice.heading);
  else await setWaiting(true);
}

/** @param {boolean} on */
async function setWaiting(on) {
  await takeCalls(on);
  waiting = on;
  choices.disable(on);
  showChoice(choices.chosen);
  showNotice(on ? "Waiting. Have your bot make a call: it rings here." : "");
  if (on) say("Waiting for a call of the bot.");
}

/** @param {import("./api.js").Entrance} entrance @param {string} title */
async function start(entrance, title) {
  if (busy || call) return;
  keepName();
  rings.hush();
  hideProblem();
  showNotice("");
  setBusy(true);
  let microphone;
  try {
    microphone = await openMicrophone(byID("clean").checked);
  } catch (error) {
    showProblem(error);
    return;
  } finally {
    setBusy(false);
  }
  await attend(entrance, title, microphone);
}

/** @param {import("./api.js").Entrance} entrance @param {string} title @param {MediaStream} microphone */
async function attend(entrance, title, microphone) {
  let failed = false;
  const mine = new Call(microphone, {
    state: (live) => view.show(live, mine.pid),
    levels: (levels) => view.levels(levels),
    problem: (error) => showProblem(error),
    silent: () => showProblem(silentProblem(), { label: "Play", act: () => mine.play() }),
    up: showUp,
    end: (why) => {
      const text = why || (view.time ? `You left after ${view.time}.` : "You left.");
      leaveView(microphone);
      if (failed) return; // which is shown as what it is
      showNotice(text);
      say(text);
    },
  });
  call = mine;
  view.open(title, microphone);
  showView("call", title);
  try {
    await mine.enter(entrance);
  } catch (error) {
    failed = true;
    mine.leave();
    showProblem(error);
  }
}

/** @param {MediaStream} microphone */
function leaveView(microphone) {
  call = undefined;
  view.close();
  closeMicrophone(microphone);
  hideProblem();
  showView("join", "Join a call");
}

/** @param {boolean} on */
function setBusy(on) {
  busy = on;
  showChoice(choices.chosen);
}

function keepName() {
  try {
    localStorage.setItem(NAME, byID("name").value.trim());
  } catch {
    // A browser that keeps nothing asks for the name again.
  }
}

/** @param {boolean} up */
function showUp(up) {
  const gone = goneProblem();
  if (up) {
    clearTimeout(goneTimer);
    goneTimer = undefined;
    showServer(true);
    hideProblem(gone.message);
    return;
  }
  goneTimer ??= setTimeout(() => {
    showServer(false);
    showProblem(gone);
  }, PATIENCE);
}

byID("join-form").addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  attempt(submit)(undefined);
});
byID("name").addEventListener("input", () => {
  if (byID("name").getAttribute("aria-invalid") === "true") checkName();
});
byID("problem-close").addEventListener("click", () => hideProblem());
// Who closes the page leaves the call.
addEventListener("pagehide", () => call?.leave());
try {
  byID("name").value = localStorage.getItem(NAME) ?? "";
} catch {
  // See keepName.
}
watchAll(({ calls, ringing }) => {
  choices.show(calls);
  rings.show(ringing);
}, showUp);
