// Every operation of every release, over https, signed with the access key.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { admin, botURL, emulator, wave } from '../bot.mjs';
import { Bot, callbacks, methods, noted, sdks } from './rig.js';

const bot = new Bot();
before(async () => {
  await bot.open();
  bot.files.set('/beep.wav', wave(0.2));
  bot.files.set('/long.wav', wave(20));
  await admin('PUT', '/v1/callee', { script: { speakers: [{}], hang_up: -1 } });
});
after(() => bot.close());

const john = { phoneNumber: '+14255550100' };
const jane = { communicationUserId: '8:acs:bot_jane' };
const late = { communicationUserId: '8:acs:bot_late' };
const caller = { phoneNumber: '+14255550199' };
const beep = { url: `${botURL}/beep.wav`, kind: 'fileSource' };
const long = { url: `${botURL}/long.wav`, kind: 'fileSource' };
const context = { operationContext: 'context' };
const dtmf = { ...context, kind: 'callMediaRecognizeDtmfOptions' };
const streams = (path) => ({
  callIntelligenceOptions: { cognitiveServicesEndpoint: 'https://cognitive.example' },
  mediaStreamingOptions: { transportUrl: `${botURL.replace('http', 'ws')}${path}`, transportType: 'websocket', contentType: 'audio', audioChannelType: 'unmixed' },
  transcriptionOptions: { transportUrl: `${botURL.replace('http', 'ws')}${path}/words`, transportType: 'websocket', locale: 'en-US', startTranscription: false },
});
const press = (c, who, tone) => admin('POST', `/v1/calls/${c.id}/participants/${encodeURIComponent(who)}/dtmf`, { tone });
const say = (c, text) => admin('POST', `/v1/calls/${c.id}/speak`, { id: '4:+14255550100', says: [{ text }] });

// steps are done on one call of two, in this order: whose method a release must
// have, since when it does what the step wants if not from the start, what is
// done by it, what makes the other side act, and the event that must follow.
const steps = [
  { of: 'call', has: 'getCallConnectionProperties', async do(c) {
    const got = await c.call.getCallConnectionProperties();
    assert.equal(got.callConnectionId, c.id);
    assert.equal(got.callConnectionState, 'connected');
    assert.deepEqual(got.targetParticipants.map((p) => p.phoneNumber), [john.phoneNumber]);
  } },
  { of: 'call', has: 'listParticipants', async do(c) {
    const { values } = await c.call.listParticipants();
    assert.ok(values.some((p) => p.identifier.phoneNumber === john.phoneNumber && p.isMuted === false), JSON.stringify(values));
  } },
  { of: 'call', has: 'getParticipant', async do(c) {
    assert.equal((await c.call.getParticipant(john)).identifier.phoneNumber, john.phoneNumber);
  } },

  { of: 'media', has: 'play', do: (c) => c.media.play([beep], [john], context), event: 'PlayCompleted' },
  { of: 'media', has: 'playToAll', do: (c) => c.media.playToAll([beep], context), event: 'PlayCompleted' },
  { of: 'media', has: 'playToAll', since: '1.2.0', do: (c) => c.media.playToAll([{ text: 'Hello', kind: 'textSource' }], context), event: 'PlayCompleted' },
  { of: 'media', has: 'playToAll', since: '1.2.0', do: (c) => c.media.playToAll([{ ssmlText: '<speak>Hello</speak>', kind: 'ssmlSource' }], context), event: 'PlayCompleted' },
  { of: 'media', has: 'playToAll', do: (c) => c.media.playToAll([{ ...beep, url: `${botURL}/nothing.wav` }], context), event: 'PlayFailed', is: { subCode: 8536 } },
  { of: 'media', has: 'cancelAllOperations', async do(c) {
    await c.media.playToAll([long], context);
    await c.media.cancelAllOperations();
  }, event: 'PlayCanceled' },

  { of: 'media', has: 'startRecognizing', do: (c) => c.media.startRecognizing(john, 2, { ...dtmf }),
    async then(c) {
      await press(c, '4:+14255550100', '1');
      await press(c, '4:+14255550100', '#');
    }, event: 'RecognizeCompleted', check: (e) => assert.deepEqual(tones(e), ['one', 'pound']) },
  { of: 'media', has: 'startRecognizing', do: (c) => c.media.startRecognizing(john, 2, { ...dtmf, playPrompt: beep, initialSilenceTimeoutInSeconds: 1 }),
    event: 'RecognizeFailed', is: { subCode: 8510 } },
  { of: 'media', has: 'startRecognizing', since: '1.2.0', do: (c) => c.media.startRecognizing(john, { ...context, kind: 'callMediaRecognizeChoiceOptions',
    choices: [{ label: 'Yes', phrases: ['yes', 'sure'] }, { label: 'No', phrases: ['no'] }] }),
    then: (c) => say(c, 'sure'), event: 'RecognizeCompleted', check: (e) => assert.equal(e.choiceResult.label, 'Yes') },
  { of: 'media', has: 'startRecognizing', since: '1.2.0', do: (c) => c.media.startRecognizing(john, { ...context, kind: 'callMediaRecognizeSpeechOptions' }),
    then: (c) => say(c, 'good morning'), event: 'RecognizeCompleted', check: (e) => assert.match(e.speechResult.speech, /good morning/i) },
  { of: 'media', has: 'startRecognizing', since: '1.2.0', do: (c) => c.media.startRecognizing(john, { ...context, kind: 'callMediaRecognizeSpeechOrDtmfOptions', maxTonesToCollect: 1 }),
    then: (c) => press(c, '4:+14255550100', '7'), event: 'RecognizeCompleted', check: (e) => assert.deepEqual(tones(e), ['seven']) },

  { of: 'media', has: 'startContinuousDtmfRecognition', do: (c) => c.media.startContinuousDtmfRecognition(john, context),
    then: (c) => press(c, '4:+14255550100', '5'), event: 'ContinuousDtmfRecognitionToneReceived', check: (e) => assert.equal(e.tone, 'five') },
  { of: 'media', has: 'stopContinuousDtmfRecognition', do: (c) => c.media.stopContinuousDtmfRecognition(john, context), event: 'ContinuousDtmfRecognitionStopped' },
  { of: 'media', has: 'sendDtmfTones', do: (c) => c.media.sendDtmfTones(['one', 'pound'], john, context), event: 'SendDtmfTonesCompleted' },
  { of: 'media', has: 'hold', do: (c) => c.media.hold(john, context) },
  { of: 'media', has: 'unhold', do: (c) => c.media.unhold(john, context) },
  { of: 'media', has: 'startMediaStreaming', do: (c) => c.media.startMediaStreaming(context), event: 'MediaStreamingStarted' },
  { of: 'media', has: 'stopMediaStreaming', do: (c) => c.media.stopMediaStreaming(context), event: 'MediaStreamingStopped' },
  { of: 'media', has: 'startTranscription', do: (c) => c.media.startTranscription({ ...context, locale: 'en-US' }), event: 'TranscriptionStarted' },
  { of: 'media', has: 'updateTranscription', do: (c) => c.media.updateTranscription('de-DE', context), event: 'TranscriptionUpdated' },
  { of: 'media', has: 'stopTranscription', do: (c) => c.media.stopTranscription(context), event: 'TranscriptionStopped' },

  { of: 'call', has: 'addParticipant', async do(c) {
    const added = await c.call.addParticipant({ targetParticipant: jane }, context);
    assert.equal(added.participant.identifier.communicationUserId, jane.communicationUserId);
  }, event: 'AddParticipantSucceeded', check: (e) => assert.equal(e.participant.communicationUserId, jane.communicationUserId) },
  { of: 'call', has: 'muteParticipant', do: (c) => c.call.muteParticipant(jane, context) },
  { of: 'call', has: 'getParticipant', async do(c) {
    const { isMuted } = await c.call.getParticipant(jane);
    assert.equal(isMuted, typeof c.call.muteParticipant === 'function');
  } },
  { of: 'call', has: 'removeParticipant', do: (c) => c.call.removeParticipant(jane, context), event: 'RemoveParticipantSucceeded' },
  { of: 'call', has: 'cancelAddParticipantOperation', async do(c) {
    await admin('PUT', '/v1/invitee', { id: late.communicationUserId, answer: 'timeout' });
    const { invitationId } = await c.call.addParticipant({ targetParticipant: late }, context);
    await c.call.cancelAddParticipantOperation(invitationId, context);
  }, event: 'CancelAddParticipantSucceeded' },

  { of: 'recording', has: 'start', async do(c) {
    const options = { recordingContent: 'audio', recordingChannel: 'mixed', recordingFormat: 'wav', recordingStateCallbackEndpointUrl: callbacks };
    c.rid = (await c.recording.start({ ...options, callLocator: { id: c.properties.serverCallId, kind: 'serverCallLocator' } })).recordingId;
  }, event: 'RecordingStateChanged' },
  { of: 'recording', has: 'getState', async do(c) {
    assert.equal((await c.recording.getState(c.rid)).recordingState, 'active');
  } },
  { of: 'recording', has: 'pause', do: (c) => c.recording.pause(c.rid), event: 'RecordingStateChanged' },
  { of: 'recording', has: 'resume', do: (c) => c.recording.resume(c.rid), event: 'RecordingStateChanged' },
  { of: 'recording', has: 'stop', do: (c) => c.recording.stop(c.rid), event: 'RecordingStateChanged' },

  { of: 'client', has: 'connectCall', async do(c) {
    const { callConnectionProperties: there, callConnection } = await c.client.connectCall({ id: c.properties.serverCallId, kind: 'serverCallLocator' }, callbacks, context);
    await bot.told(c.sdk, there.callConnectionId, 'CallConnected');
    await callConnection.hangUp(false);
    await bot.told(c.sdk, there.callConnectionId, 'CallDisconnected');
    bot.parseRest(c.sdk, there.callConnectionId);
  } },
  { of: 'call', has: 'moveParticipants', async do(c) {
    const { callConnectionProperties: there } = await c.client.createCall({ targetParticipant: { communicationUserId: '8:acs:bot_moved' } }, callbacks);
    await bot.told(c.sdk, there.callConnectionId, 'CallConnected');
    await c.call.moveParticipants([{ communicationUserId: '8:acs:bot_moved' }], there.callConnectionId, context);
  }, event: 'MoveParticipantSucceeded' },
  { of: 'call', has: 'transferCallToParticipant', do: (c) => c.call.transferCallToParticipant(jane, { ...context, transferee: john }), event: 'CallTransferAccepted' },
];

const tones = (event) => event.dtmfResult.tones;

for (const sdk of sdks) {
  test(`${sdk.release}: all operations of a call`, async () => {
    const called = new Set();
    const client = noted(sdk.client, called);
    const { callConnectionProperties: properties, callConnection } = await client.createCall(
      { targetParticipant: john, sourceCallIdNumber: caller }, callbacks, { operationContext: 'all', ...streams(`/media/${sdk.release}`) });
    const id = properties.callConnectionId;
    const call = noted(callConnection, called);
    const c = { sdk, id, properties, client, call, media: noted(call.getCallMedia(), called), recording: noted(client.getCallRecording(), called) };
    assert.equal((await bot.told(sdk, id, 'CallConnected')).operationContext, 'all');
    for (const { of, has, since = '', do: act, then, event, is, check } of steps) {
      if (!(has in c[of]) || sdk.release < since) {
        continue;
      }
      await act(c);
      await then?.(c);
      if (event) {
        const told = await bot.told(sdk, id, event);
        // Recordings have none, and 1.0.0 does not send that of a prompt.
        const bare = event === 'RecordingStateChanged' || (sdk.release === '1.0.0' && event.startsWith('Play'));
        assert.equal(told.operationContext, bare ? undefined : 'context', event);
        if (is) {
          assert.equal(told.resultInformation.subCode, is.subCode, event);
        }
        check?.(told);
      }
    }
    const far = await client.createGroupCall([john, jane], callbacks, { sourceCallIdNumber: caller });
    await bot.told(sdk, far.callConnectionProperties.callConnectionId, 'CallConnected');
    await far.callConnection.hangUp(true);
    await bot.told(sdk, far.callConnectionProperties.callConnectionId, 'CallDisconnected');
    if ((await admin('GET', `/v1/calls/${id}`)).ended === false) {
      await call.hangUp(false);
    }
    await bot.told(sdk, id, 'CallDisconnected');
    bot.parseRest(sdk, id);
    bot.parseRest(sdk, far.callConnectionProperties.callConnectionId);

    // Answering is media.test.js's; the addresses of recordings are checked
    // by the client to be the cloud's.
    const elsewhere = ['answerCall', 'rejectCall', 'redirectCall', 'hangUp', 'delete', 'downloadStreaming', 'downloadToStream', 'downloadToPath', 'getSourceIdentity', 'getCallConnection'];
    const all = [sdk.CallAutomationClient, sdk.CallConnection, sdk.CallMedia, sdk.CallRecording].flatMap(methods);
    assert.deepEqual(all.filter((name) => !called.has(name) && !elsewhere.includes(name)), []);
  });

  test(`${sdk.release}: what rings is answered, rejected or redirected`, async () => {
    const answered = await bot.rung();
    const { callConnection } = await sdk.client.answerCall(answered.incomingCallContext, callbacks, { operationContext: 'hello' });
    await bot.told(sdk, answered.id, 'CallConnected');
    await callConnection.hangUp(false);
    await bot.told(sdk, answered.id, 'CallDisconnected');
    bot.parseRest(sdk, answered.id);

    await sdk.client.rejectCall((await bot.rung()).incomingCallContext, { callRejectReason: 'busy' });
    await sdk.client.redirectCall((await bot.rung()).incomingCallContext, { targetParticipant: jane });
  });

  test(`${sdk.release}: refusals, and what is tried again`, async () => {
    const nobody = new sdk.CallAutomationClient(`endpoint=${emulator.acs_tls}/;accesskey=bm9ib2R5`);
    const refused = (promise, statusCode, code) => assert.rejects(promise, (e) => e.statusCode === statusCode && (code === undefined || e.code === code));
    await refused(nobody.createCall({ targetParticipant: jane }, callbacks), 401);
    await refused(sdk.client.getCallConnection('none').getCallConnectionProperties(), 404, '8522');
    await refused(sdk.client.createCall({ targetParticipant: jane }, 'http://127.0.0.1/'), 400, '8523');
    const before = (await admin('GET', '/v1/calls')).length;
    await admin('POST', '/v1/faults', { operation: 'create', status: 503, executed: true });
    const { callConnectionProperties: once, callConnection } = await sdk.client.createCall({ targetParticipant: jane }, callbacks);
    assert.equal((await admin('GET', '/v1/calls')).length, before + 1, 'a retry makes no second call');
    await bot.told(sdk, once.callConnectionId, 'CallConnected');
    await callConnection.hangUp(true);
    await bot.told(sdk, once.callConnectionId, 'CallDisconnected');
  });
}
