// What the tests stand on: the emulator that emulator.mjs started, and a bot
// that it tells things.
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHTTP } from 'node:http';
import { createServer as createHTTPS } from 'node:https';
import { join } from 'node:path';

// patience is how long anything may take that does not block, in ms.
const patience = 10_000;

assert.ok(process.env.EMULATOR, 'run this by npm test');
export const emulator = JSON.parse(process.env.EMULATOR);
export const botURL = process.env.BOT;

export function certificate(name) {
  const dir = process.env.CERTIFICATES;
  return { key: readFileSync(join(dir, `${name}.key`)), cert: readFileSync(join(dir, `${name}.pem`)) };
}

// admin asks the emulator's admin API.
export async function admin(method, path, body) {
  const response = await fetch(emulator.admin + path, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text && JSON.parse(text);
}

// Bot listens at botURL: it answers what the service asks there, and keeps
// what it tells.
export class Bot {
  #posts = []; // {path, headers, body}, those that nobody has taken yet
  #waiting = new Set();
  server;
  files = new Map(); // by path, for GET

  async open() {
    const handler = (request, response) => this.#serve(request, response);
    const { protocol, port, hostname } = new URL(botURL);
    this.server = protocol === 'https:' ? createHTTPS(certificate('bot'), handler) : createHTTP(handler);
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(Number(port), hostname, resolve);
    });
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  // handshake returns the answer to a post that is one, and to no other.
  handshake(_request, _body) {}

  async #serve(request, response) {
    const path = new URL(request.url, botURL).pathname;
    if (request.method === 'GET') {
      const file = this.files.get(path);
      response.writeHead(file ? 200 : 404, { 'Content-Type': 'audio/wav' }).end(file);
      return;
    }
    const chunks = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString();
    const answer = this.handshake(request, text);
    if (answer !== undefined) {
      response.writeHead(200, { 'Content-Type': 'text/plain' }).end(answer);
      return;
    }
    response.writeHead(202).end();
    this.#posts.push({ path, headers: request.headers, body: JSON.parse(text) });
    this.#waiting.forEach((look) => look());
  }

  // taken takes away the posts that match.
  taken(matches) {
    const found = this.#posts.filter(matches);
    this.#posts = this.#posts.filter((post) => !found.includes(post));
    return found;
  }

  // posted waits for a post of which pick makes something, takes it away and
  // returns that.
  posted(what, pick) {
    return new Promise((resolve, reject) => {
      const look = () => {
        for (const [i, post] of this.#posts.entries()) {
          const found = pick(post);
          if (found) {
            this.#posts.splice(i, 1);
            this.#waiting.delete(look);
            clearTimeout(late);
            resolve(found);
            return;
          }
        }
      };
      const late = setTimeout(() => {
        this.#waiting.delete(look);
        const rest = this.#posts.map((post) => JSON.stringify(post.body).slice(0, 200)).join('\n');
        reject(new Error(`no ${what} after ${patience} ms; there are:\n${rest}`));
      }, patience);
      this.#waiting.add(look);
      look();
    });
  }
}

// wave is a WAV file as prompts must be, 16 kHz, mono, 16 bit: a tone of 440 Hz.
export function wave(seconds) {
  const rate = 16_000;
  const data = Buffer.alloc(2 * Math.round(rate * seconds));
  for (let i = 0; 2 * i < data.length; i++) {
    data.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 440 * i) / rate)), 2 * i);
  }
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + data.length, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(2 * rate, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(data.length, 40);
  return Buffer.concat([header, data]);
}

// checkToken checks a token's signature by the keys that an OpenID
// configuration names, and its times, and returns the claims.
export async function checkToken(token, configuration) {
  const { jwks_uri: address, id_token_signing_alg_values_supported: algorithms } = await getJSON(configuration);
  const { keys } = await getJSON(address);
  const [header, claims, signature] = token.split('.');
  const { alg, kid } = decode(header);
  assert.equal(alg, 'RS256');
  assert.ok(algorithms.includes(alg));
  const jwk = keys.find((key) => key.kid === kid);
  assert.ok(jwk, `no key ${kid}`);
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  assert.ok(verify('RSA-SHA256', Buffer.from(`${header}.${claims}`), key, Buffer.from(signature, 'base64url')), 'signature');
  const said = decode(claims);
  const now = Date.now() / 1000;
  assert.ok(said.nbf <= now + 1 && now < said.exp, `not valid now: ${JSON.stringify(said)}`);
  return said;
}

async function getJSON(address) {
  const response = await fetch(address);
  assert.equal(response.status, 200, address);
  return response.json();
}

const decode = (part) => JSON.parse(Buffer.from(part, 'base64url'));
