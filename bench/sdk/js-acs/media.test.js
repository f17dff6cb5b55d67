// The media socket: what the emulator sends is read by the releases that have
// a parser of it, and what their helpers write is heard, sample by sample.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { admin, botURL, wave } from '../bot.mjs';
import { Bot, callbacks, sdks } from './rig.js';

const bot = new Bot();
before(() => bot.open());
after(() => bot.close());

// talk is what the caller says: a second of a tone, then silence, and a key.
const pcm = wave(1).subarray(44).toString('base64');
const talk = { id: '4:+14255550100', pcm, keys: [{ slot: 60, tone: '5' }], says: [{ text: 'good morning' }] };

for (const sdk of sdks.filter(({ StreamingData }) => StreamingData)) {
  for (const audioChannelType of ['mixed', 'unmixed']) {
    for (const [audioFormat, rate] of [['pcm16KMono', 16_000], ['pcm24KMono', 24_000]]) {
      test(`${sdk.release}: ${audioChannelType} ${audioFormat}`, async () => {
        const path = `/media/${sdk.release}/${audioChannelType}/${audioFormat}`;
        const transport = { transportUrl: botURL.replace('http', 'ws') + path, transportType: 'websocket' };
        const { id, incomingCallContext } = await bot.rung({ script: { speakers: [talk], hang_up: -1 }, from: talk.id });
        const { callConnection } = await sdk.client.answerCall(incomingCallContext, callbacks, {
          callIntelligenceOptions: { cognitiveServicesEndpoint: 'https://cognitive.example' },
          mediaStreamingOptions: { ...transport, audioChannelType, audioFormat, contentType: 'audio', startMediaStreaming: true, enableBidirectional: true, enableDtmfTones: true },
          transcriptionOptions: { ...transport, locale: 'en-US', startTranscription: true },
        });
        const socket = await bot.dialled(path);
        assert.equal(socket.headers['x-ms-call-connection-id'], id);
        assert.match(socket.headers.authorization, /^Bearer /);
        await bot.told(sdk, id, 'MediaStreamingStarted');

        // Uneven chunks, in one burst; then what StopAudio throws away.
        const said = wave(0.5).subarray(44);
        for (let at = 0; at < said.length; at += 1234) {
          socket.send(sdk.createOutboundAudioData(said.subarray(at, at + 1234).toString('base64')));
        }
        await until(() => socket.messages.some((text) => JSON.parse(text).kind === 'DtmfData') && socket.messages.some((text) => JSON.parse(text).kind === 'TranscriptionData'));
        socket.send(sdk.createOutboundAudioData(wave(5).subarray(44).toString('base64')));
        socket.send(sdk.createOutboundStopAudioData());
        await until(async () => (await admin('GET', `/v1/calls/${id}/log?pcm=false`)).playout.flushes?.length === 1);
        await callConnection.hangUp(true);
        await bot.told(sdk, id, 'CallDisconnected');
        bot.parseRest(sdk, id);
        await socket.ended;

        const kinds = {};
        for (const text of socket.messages) {
          const data = sdk.StreamingData.parse(text);
          const kind = sdk.StreamingData.getStreamingKind();
          (kinds[kind] ??= []).push(data);
        }
        assert.deepEqual(Object.keys(kinds).sort(), ['AudioData', 'AudioMetadata', 'DtmfData', 'TranscriptionData', 'TranscriptionMetadata']);
        assert.equal(kinds.AudioMetadata[0].sampleRate, rate);
        assert.equal(kinds.DtmfData[0].data, '5');
        assert.match(kinds.TranscriptionData[0].text, /good morning/i);
        const theirs = kinds.AudioData.filter(({ participant }) => participant?.phoneNumber === '+14255550100');
        assert.equal(theirs.length, audioChannelType === 'unmixed' ? kinds.AudioData.length : 0);
        const heard = Buffer.concat(kinds.AudioData.map(({ data }) => Buffer.from(data, 'base64')));
        assert.ok(kinds.AudioData.every(({ data, isSilent }) => Buffer.from(data, 'base64').length === rate / 25 && typeof isSilent === 'boolean'));
        const log = await admin('GET', `/v1/calls/${id}/log`);
        assert.equal(log.bad, undefined);
        assert.equal(log.playout.flushes[0].discarded > 0, true);
        if (rate === 16_000) {
          assert.ok(heard.subarray(0, 32_000).equals(Buffer.from(pcm, 'base64')), 'the bot hears what is said');
          assert.ok(Buffer.from(log.playout.pcm, 'base64').subarray(0, said.length).equals(said), 'what the bot says is heard');
        }
      });
    }
  }
}

// until waits until something is so.
async function until(is) {
  for (const late = Date.now() + 10_000; !(await is()); ) {
    assert.ok(Date.now() < late, `not so in time: ${is}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
