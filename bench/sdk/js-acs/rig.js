// What the tests of Call Automation's client stand on: its releases, the bot's
// receiver with a media socket, and what the releases declare of events.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { WebSocketServer } from 'ws';
import { Bot as Receiver, admin, botURL, checkToken, emulator } from '../bot.mjs';

const releases = ['1.0.0', '1.2.0', '1.5.1', '1.6.0'];
const prefix = 'Microsoft.Communication.';

// sdks are the releases, each with its client and the events it declares.
export const sdks = await Promise.all(
  releases.map(async (release) => {
    const sdk = await import(`acs-${release}`);
    const connection = `endpoint=${emulator.acs_tls}/;accesskey=${emulator.access_key}`;
    const source = { communicationUserId: '8:acs:bot_1' };
    return { release, ...sdk, client: new sdk.CallAutomationClient(connection, { sourceIdentity: source }), declared: declared(release) };
  }),
);

// declared reads a release's declarations: by each event's name its own
// fields, [name, '?' if optional, type].
function declared(release) {
  const file = release < '1.5' ? 'types/communication-call-automation.d.ts' : 'dist/esm/models/events.d.ts';
  const text = readFileSync(new URL(`node_modules/acs-${release}/${file}`, import.meta.url), 'utf8').replaceAll('\r', '');
  const events = new Map();
  for (const [, name, , body] of text.matchAll(/^export (?:declare )?interface (\w+)([^{]*)\{\n(.*?)^\}/gms)) {
    events.set(name, [...body.matchAll(/^ {4}(\w+)(\??): (.+);$/gm)].map(([, field, optional, type]) => [field, optional, type]));
  }
  return events;
}

// conforms holds an event to the declaration of its type.
function conforms(sdk, event) {
  const fields = sdk.declared.get(event.kind);
  assert.ok(fields?.some(([field, , type]) => field === 'kind' && type === `"${event.kind}"`), `${sdk.release} declares no ${event.kind}`);
  for (const [field, optional, type] of fields) {
    const what = `${event.kind}.${field} in ${sdk.release}`;
    if (optional && event[field] === undefined) {
      continue;
    }
    assert.notEqual(event[field], undefined, what);
    if (['string', 'number', 'boolean'].includes(type)) {
      assert.equal(typeof event[field], type, what);
    } else if (type === 'ResultInformation') {
      const { code, subCode, message } = event[field];
      assert.deepEqual([typeof code, typeof subCode, typeof message], ['number', 'number', 'string'], what);
    } else if (type.endsWith('[]')) {
      assert.ok(Array.isArray(event[field]), what);
    }
  }
}

// Bot is what the emulator rings and calls back. Each media socket that it is
// dialled on keeps its messages, and is at sockets by its path.
export class Bot extends Receiver {
  sockets = new Map();
  #dialled = new Map(); // by path: who waits

  async open() {
    await super.open();
    new WebSocketServer({ server: this.server }).on('connection', (socket, { url, headers }) => {
      socket.messages = [];
      socket.on('message', (data) => socket.messages.push(data.toString()));
      socket.ended = new Promise((resolve) => socket.once('close', resolve));
      socket.headers = headers;
      this.sockets.set(url, socket);
      this.#dialled.get(url)?.(socket);
    });
  }

  handshake({ headers }, body) {
    if (headers['aeg-event-type'] === 'SubscriptionValidation') {
      return JSON.stringify({ validationResponse: JSON.parse(body)[0].data.validationCode });
    }
    return undefined;
  }

  dialled(path) {
    return this.sockets.get(path) ?? new Promise((resolve) => this.#dialled.set(path, resolve));
  }

  // rung rings the bot, and returns what it is told and the call's id.
  async rung(request) {
    const { id } = await admin('POST', '/v1/incoming', { script: { speakers: [{}], hang_up: -1 }, ...request });
    const data = await this.posted('incoming call', ({ path, body: [event] }) => path === '/events' && event.eventType === `${prefix}IncomingCall` && event.data);
    return { id, ...data };
  }

  // told waits for an event of a call, as a release parses it, and checks who
  // sent it.
  async told(sdk, id, kind) {
    const { body, headers } = await this.posted(`${kind} of ${id}`, (post) => isOf(post, id) && post.body[0].type === prefix + kind && post);
    const [scheme, token] = headers.authorization.split(' ');
    assert.equal(scheme, 'Bearer');
    assert.equal((await checkToken(token, emulator.oidc)).aud, emulator.audience);
    return this.#parse(sdk, body);
  }

  // parseRest parses the call's events that were not waited for.
  parseRest(sdk, id) {
    return this.taken((post) => isOf(post, id)).map(({ body }) => this.#parse(sdk, body));
  }

  #parse(sdk, body) {
    assert.equal(body.length, 1, 'the parser reads the first event only');
    const event = sdk.parseCallAutomationEvent(JSON.stringify(body));
    assert.equal(prefix + event.kind, body[0].type);
    conforms(sdk, event);
    return event;
  }
}

const isOf = ({ path, body }, id) => path === '/callbacks' && body[0].data.callConnectionId === id;

export const callbacks = `${botURL}/callbacks`;

// noted wraps an object so that names has all methods that are called.
export function noted(object, names) {
  return new Proxy(object, {
    get(target, name) {
      const value = target[name];
      if (typeof value !== 'function') {
        return value;
      }
      names.add(name);
      return value.bind(target);
    },
  });
}

// methods are those that a class has for its users.
export function methods(type) {
  const inner = /^(constructor|.*Internal|createRecognizeRequest)$/;
  return Object.getOwnPropertyNames(type.prototype).filter((name) => !inner.test(name));
}
