// Calls by Microsoft's client over https, with a token.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { admin, botURL, emulator, wave } from '../bot.mjs';
import { Bot, graphAt, refusal, signIn } from './rig.js';

const bot = new Bot();
let graph;

before(async () => {
  await bot.open();
  graph = graphAt(emulator.graph_tls, await signIn());
});
after(() => bot.close());

const serviceHosted = { '@odata.type': '#microsoft.graph.serviceHostedMediaConfig', preFetchMedia: [] };
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const peer = () => ({
  '@odata.type': '#microsoft.graph.call',
  callbackUri: `${botURL}/callbacks`,
  targets: [
    {
      '@odata.type': '#microsoft.graph.invitationParticipantInfo',
      identity: {
        '@odata.type': '#microsoft.graph.identitySet',
        user: { '@odata.type': '#microsoft.graph.identity', displayName: 'John', id: randomUUID() },
      },
    },
  ],
  requestedModalities: ['audio'],
  mediaConfig: serviceHosted,
});

const meeting = () => ({
  '@odata.type': '#microsoft.graph.call',
  callbackUri: `${botURL}/callbacks`,
  requestedModalities: ['audio'],
  mediaConfig: serviceHosted,
  chatInfo: { '@odata.type': '#microsoft.graph.chatInfo', threadId: '19:meeting_sdk@thread.v2', messageId: '0' },
  meetingInfo: {
    '@odata.type': '#microsoft.graph.organizerMeetingInfo',
    organizer: {
      '@odata.type': '#microsoft.graph.identitySet',
      user: { '@odata.type': '#microsoft.graph.identity', id: randomUUID(), tenantId: emulator.graph_tenant },
    },
    allowConversationWithoutHost: true,
  },
  tenantId: emulator.graph_tenant,
});

// created creates a call and waits until it stands.
async function created(body) {
  const call = await graph.api('/communications/calls').post(body);
  assert.equal(call.state, 'establishing');
  assert.equal(call.direction, 'outgoing');
  await bot.state(call.id, 'establishing');
  await bot.state(call.id, 'established');
  return { ...call, path: `/communications/calls/${call.id}` };
}

// deleted ends a call, which then is gone.
async function deleted(call) {
  assert.equal(await graph.api(call.path).delete(), undefined); // 204
  const { resourceData } = await bot.state(call.id, 'terminated');
  assert.equal(resourceData.resultInfo.code, 200);
  assert.equal(resourceData.resultInfo.subcode, 5001);
  await gone(call);
}

async function gone(call) {
  const error = await refusal(graph.api(call.path).get());
  assert.equal(error.statusCode, 404);
  assert.equal(error.code, 'NotFound');
  assert.match(error.requestId, guid);
}

test('a call of two: keepAlive, prompt, tones, end', async () => {
  const call = await created(peer());
  const got = await graph.api(call.path).get();
  assert.equal(got.state, 'established');
  assert.equal(got.id, call.id);
  assert.equal(got.mediaConfig['@odata.type'], serviceHosted['@odata.type']);
  await graph.api(`${call.path}/keepAlive`).post();

  bot.files.set('/beep.wav', wave(0.2));
  const prompt = await graph.api(`${call.path}/playPrompt`).post({
    clientContext: 'a prompt',
    prompts: [
      {
        '@odata.type': '#microsoft.graph.mediaPrompt',
        mediaInfo: { '@odata.type': '#microsoft.graph.mediaInfo', uri: `${botURL}/beep.wav`, resourceId: randomUUID() },
      },
    ],
  });
  assert.equal(prompt['@odata.type'], '#microsoft.graph.playPromptOperation');
  assert.equal(prompt.status, 'running');
  const { resourceData: played } = await bot.completed(prompt, call.id);
  assert.equal(played.status, 'completed');
  assert.equal(played.clientContext, 'a prompt');

  const tones = await graph.api(`${call.path}/subscribeToTone`).post({ clientContext: 'tones' });
  assert.equal(tones.status, 'completed');
  await admin('POST', `/v1/calls/${call.id}/dtmf`, { tone: '5' });
  const { resourceData: pressed } = await bot.told('tone', call.id, (n) => n.resourceData?.toneInfo);
  assert.equal(pressed.toneInfo.tone, 'tone5');
  assert.equal(pressed.toneInfo.sequenceId, 1);

  const error = await refusal(graph.api(`${call.path}/mute`).post({ clientContext: 'alone' }));
  assert.equal(error.statusCode, 400);
  assert.equal(error.code, 'BadRequest');
  assert.equal((await graph.api(`${call.path}/participants`).get()).value.length, 0);
  await deleted(call);
});

test('a meeting: roster, mute, unmute, end', async () => {
  const call = await created(meeting());
  assert.equal(call.chatInfo.threadId, '19:meeting_sdk@thread.v2');
  assert.equal(call.meetingInfo.allowConversationWithoutHost, true);
  const roster = (muted) =>
    bot.told('roster', call.id, (n) => n.resourceUrl.endsWith('/participants') && n.resourceData.find(me)?.isMuted === muted);
  const me = (p) => p.info.identity.application?.id === emulator.graph_app;
  await roster(false);
  const { value: participants } = await graph.api(`${call.path}/participants`).select('id,info').get();
  assert.equal(participants.filter(me).length, 1);
  assert.equal(participants.filter((p) => p.info.identity.user).length, 1);
  const other = participants.find((p) => p.info.identity.user);
  assert.equal((await graph.api(`${call.path}/participants/${other.id}`).get()).id, other.id);

  const muted = await graph.api(`${call.path}/mute`).post({ clientContext: 'mute' });
  assert.equal(muted.status, 'completed');
  await roster(true);
  assert.equal((await graph.api(`${call.path}/unmute`).post({ clientContext: 'unmute' })).status, 'completed');
  await roster(false);
  await deleted(call);
});

test('a call that rings is answered, and the other side hangs up', async () => {
  const { id } = await admin('POST', '/v1/graph/incoming', { script: 'three-speakers', duration: '20s' });
  const { resourceData: incoming } = await bot.state(id, 'incoming');
  assert.equal(incoming.direction, 'incoming');
  assert.equal(incoming['@odata.id'], `/communications/calls/${id}`);
  const call = { id, path: `/communications/calls/${id}` };
  await graph.api(`${call.path}/answer`).post({
    callbackUri: `${botURL}/callbacks`,
    acceptedModalities: ['audio'],
    mediaConfig: serviceHosted,
  });
  await bot.state(id, 'establishing');
  await bot.state(id, 'established');
  assert.equal((await graph.api(call.path).get()).state, 'established');
  await admin('DELETE', `/v1/calls/${id}`);
  await bot.state(id, 'terminated');
  await gone(call);
});

test('a call that rings is rejected', async () => {
  const { id } = await admin('POST', '/v1/graph/incoming', { script: 'three-speakers' });
  await bot.state(id, 'incoming');
  await graph.api(`/communications/calls/${id}/reject`).post({ reason: 'busy' });
  await bot.told('deletion', id, (n) => n.changeType === 'deleted');
});

test('429 is retried after what Retry-After says', async () => {
  const call = await created(peer());
  await admin('POST', '/v1/faults', { operation: 'graphGet', status: 429, retry_after: 1 });
  const begun = performance.now();
  assert.equal((await graph.api(call.path).get()).id, call.id);
  assert.ok(performance.now() - begun >= 990, 'the client waits a second');
  await admin('POST', '/v1/faults', { operation: 'graphGet', status: 500 });
  const error = await refusal(graph.api(call.path).get());
  assert.equal(error.statusCode, 500);
  assert.equal(error.code, 'serviceFault');
  await deleted(call);
});

test('what is wrong is refused with its name', async () => {
  for (const [field, body] of [
    ['callbackUri', { ...peer(), callbackUri: 'http://127.0.0.1/callbacks' }],
    ['requestedModalities', { ...peer(), requestedModalities: [] }],
    ['mediaConfig', { ...peer(), mediaConfig: undefined }],
    ['targets', { ...peer(), targets: [] }],
  ]) {
    const error = await refusal(graph.api('/communications/calls').post(body));
    assert.equal(error.statusCode, 400, field);
    assert.ok(error.message.startsWith(`${field}: `), error.message);
  }
});

test('without a token of its own nobody gets in', async () => {
  // Over http the client keeps a good token to itself.
  for (const stranger of [graphAt(emulator.graph_tls, 'nobody'), graphAt(emulator.graph, await signIn())]) {
    const error = await refusal(stranger.api('/communications/calls').post(peer()));
    assert.equal(error.statusCode, 401);
    assert.equal(error.code, 'InvalidAuthenticationToken');
  }
});
