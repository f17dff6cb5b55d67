// The bot, as a process of its own: rung, spoken to, and told by a key to hang
// up. The emulator's log proves what was heard of it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { admin, botURL, emulator, wave } from '../bot.mjs';

// logOnce returns the log of a call, once it is as wanted.
async function logOnce(id, is) {
  for (;;) {
    const log = await admin('GET', `/v1/calls/${id}/log`);
    if (is(log)) {
      return log;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('the bot answers, echoes, and hangs up on #', { timeout: 30_000 }, async () => {
  const env = { ...process.env, ACS: `endpoint=${emulator.acs_tls}/;accesskey=${emulator.access_key}`, URL: botURL };
  const bot = spawn(process.execPath, ['bot.js'], { cwd: import.meta.dirname, env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const printed = createInterface({ input: bot.stdout })[Symbol.asyncIterator]();
    const prints = async (line) => {
      for (let { value, done } = await printed.next(); value !== line; { value, done } = await printed.next()) {
        assert.ok(!done, `the bot ended before it printed ${line}`);
      }
    };
    await prints(`listening at ${botURL}`);
    const { id } = await admin('POST', '/v1/incoming', { script: { speakers: [{}], hang_up: -1 }, from: '4:+14255550100' });
    await prints('MediaStreamingStarted');

    const said = wave(0.5).subarray(44);
    const [caller] = await admin('GET', `/v1/calls/${id}/participants`).then((all) => all.filter((p) => p.id === '4:+14255550100'));
    await admin('POST', `/v1/calls/${id}/speak`, { id: caller.id, pcm: said.toString('base64') });
    const log = await logOnce(id, ({ playout }) => playout.total >= said.length / 2 && !playout.unheard);
    assert.ok(Buffer.from(log.playout.pcm, 'base64').equals(said), 'the echo is what was said, sample by sample');
    assert.equal(log.playout.played.reduce((sum, { samples }) => sum + samples, 0), said.length / 2, 'all of it was heard');

    await admin('POST', `/v1/calls/${id}/dtmf`, { tone: '5' });
    await admin('POST', `/v1/calls/${id}/dtmf`, { tone: '#' });
    await prints('CallDisconnected');
    const ended = await logOnce(id, (log) => log.ended); // which the event comes a little before
    assert.deepEqual(ended.keys.map(({ tone }) => tone), ['5', '#']);
    assert.equal(ended.bad, undefined);
  } finally {
    bot.kill();
  }
});
