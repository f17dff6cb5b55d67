// Over plain http Microsoft's client sends no token, whatever it has: an
// emulator that was started with --insecure takes it for its first app.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { admin, botURL, emulator } from '../bot.mjs';
import { Bot, graphAt } from './rig.js';

const bot = new Bot();
before(() => bot.open());
after(() => bot.close());

test('a call over http, without a token', async () => {
  const graph = graphAt(emulator.graph, 'never sent');
  const call = await graph.api('/communications/calls').post({
    callbackUri: `${botURL}/callbacks`,
    targets: [{ identity: { user: { displayName: 'John', id: randomUUID() } } }],
    requestedModalities: ['audio'],
    mediaConfig: { '@odata.type': '#microsoft.graph.serviceHostedMediaConfig' },
  });
  await bot.state(call.id, 'established');
  await graph.api(`/communications/calls/${call.id}/keepAlive`).post();
  await graph.api(`/communications/calls/${call.id}`).delete();
  await bot.state(call.id, 'terminated');
});

test('a call that rings is answered over http', async () => {
  const graph = graphAt(emulator.graph, 'never sent');
  const { id } = await admin('POST', '/v1/graph/incoming', { script: 'three-speakers', meeting: true });
  const { resourceData: incoming } = await bot.state(id, 'incoming');
  assert.ok(incoming.chatInfo.threadId);
  await graph.api(`/communications/calls/${id}/answer`).post({
    callbackUri: `${botURL}/callbacks`,
    acceptedModalities: ['audio'],
    mediaConfig: { '@odata.type': '#microsoft.graph.serviceHostedMediaConfig' },
  });
  await bot.state(id, 'established');
  await graph.api(`/communications/calls/${id}`).delete();
  await bot.state(id, 'terminated');
});
