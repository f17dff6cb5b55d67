// What the tests stand on: the emulator that run.js started, the bot's
// receiver, and the SDK's client as its documents say to make it.
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHTTP } from 'node:http';
import { createServer as createHTTPS } from 'node:https';
import { join } from 'node:path';
import { Client } from '@microsoft/microsoft-graph-client';

// patience is how long anything may take that does not block, in ms.
const patience = 10_000;

assert.ok(process.env.EMULATOR, 'run this by npm test');
export const emulator = JSON.parse(process.env.EMULATOR);
export const botURL = process.env.BOT;

export function certificate(name) {
  const dir = process.env.CERTIFICATES;
  return { key: readFileSync(join(dir, `${name}.key`)), cert: readFileSync(join(dir, `${name}.pem`)) };
}

// signIn asks the emulated token endpoint, as an application does.
export async function signIn() {
  const response = await fetch(`${emulator.graph_tls}/${emulator.graph_tenant}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: emulator.graph_app,
      client_secret: emulator.graph_secret,
      scope: 'https://graph.microsoft.com/.default',
    }),
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  assert.equal(body.token_type, 'Bearer');
  return body.access_token;
}

// graphAt makes the SDK's client of the emulator at a base address.
export function graphAt(base, token) {
  return Client.init({
    baseUrl: `${base}/`,
    defaultVersion: 'v1.0',
    customHosts: new Set(['127.0.0.1']),
    authProvider: (done) => done(null, token),
  });
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

// refusal awaits what must fail, and returns the SDK's error.
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    assert.equal(error.constructor.name, 'GraphError', error.stack);
    return error;
  }
  assert.fail('nothing was refused');
}

// Bot listens at botURL: it answers what the service asks there, and keeps
// what it tells.
export class Bot {
  #server;
  #posts = []; // {path, headers, body}, those that nobody has taken yet
  #waiting = new Set();
  files = new Map(); // by path, for GET

  async open() {
    const handler = (request, response) => this.#serve(request, response);
    const { protocol, port, hostname } = new URL(botURL);
    this.#server = protocol === 'https:' ? createHTTPS(certificate('bot'), handler) : createHTTP(handler);
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(Number(port), hostname, resolve);
    });
  }

  close() {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request, response) {
    const url = new URL(request.url, botURL);
    if (request.method === 'GET') {
      const file = this.files.get(url.pathname);
      response.writeHead(file ? 200 : 404, { 'Content-Type': 'audio/wav' }).end(file);
      return;
    }
    const chunks = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    if (url.searchParams.has('validationToken')) {
      response.writeHead(200, { 'Content-Type': 'text/plain' }).end(url.searchParams.get('validationToken'));
      return;
    }
    response.writeHead(202).end();
    this.#posts.push({ path: url.pathname, headers: request.headers, body: JSON.parse(Buffer.concat(chunks)) });
    this.#waiting.forEach((look) => look());
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
        const rest = this.#posts.map((post) => JSON.stringify(post.body)).join('\n');
        reject(new Error(`no ${what} after ${patience} ms; there are:\n${rest}`));
      }, patience);
      this.#waiting.add(look);
      look();
    });
  }

  // told waits for a notification of a call, and checks who sent it.
  async told(what, callId, matches) {
    const { item, headers } = await this.posted(`${what} of call ${callId}`, (post) => {
      const item = post.body.value?.find((n) => n.resourceUrl?.startsWith(`/communications/calls/${callId}`) && matches(n));
      return item && { item, headers: post.headers };
    });
    if (botURL.startsWith('https:')) {
      const [scheme, token] = headers.authorization.split(' ');
      assert.equal(scheme, 'Bearer');
      const claims = await checkToken(token, emulator.graph_oidc);
      assert.equal(claims.iss, 'https://graph.microsoft.com');
      assert.equal(claims.aud, emulator.graph_app);
      assert.equal(claims.tid, emulator.graph_tenant);
    }
    return item;
  }

  // state waits until a call is said to be in a state.
  state(callId, state) {
    return this.told(state, callId, (n) => n.resourceData?.state === state);
  }

  // completed waits for the end of an operation, which the notification names
  // without dashes.
  completed(operation, callId) {
    const id = operation.id.replaceAll('-', '').toUpperCase();
    return this.told(`operation ${id}`, callId, (n) => n.resourceUrl.endsWith(`/operations/${id}`));
  }
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
