// The peer echoes audio, and nothing else, to the sample.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { WebSocket } from 'ws';

const server = spawn(process.execPath, ['server.mjs'], { stdio: ['ignore', 'pipe', 'inherit'] });
const deadline = setTimeout(() => { server.kill(); throw new Error('no echo within 20 s'); }, 20_000);
try {
  const [line] = await once(server.stdout, 'data');
  const socket = new WebSocket(String(line).trim());
  await once(socket, 'open');
  const data = Buffer.from(Array.from({ length: 640 }, (_, i) => i)).toString('base64');
  socket.send(JSON.stringify({ kind: 'AudioMetadata', audioMetadata: { subscriptionId: 's', encoding: 'PCM', sampleRate: 16000, channels: 1, length: 640 } }));
  socket.send(JSON.stringify({ kind: 'AudioData', audioData: { timestamp: '2024-11-15T19:16:12.925Z', data, silent: false } }));
  const [echo] = await once(socket, 'message');
  assert.equal(JSON.parse(echo).audioData.data, data);
  socket.terminate();
  console.log('1 passed, 0 failed');
} finally {
  clearTimeout(deadline);
  server.kill();
}
