// What the tests of Graph's client stand on: the bot's receiver, and the
// client as its documents say to make it.
import assert from 'node:assert/strict';
import { Client } from '@microsoft/microsoft-graph-client';
import { Bot as Receiver, botURL, checkToken, emulator } from '../bot.mjs';

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

// Bot is what Graph notifies.
export class Bot extends Receiver {
  handshake(request) {
    return new URL(request.url, botURL).searchParams.get('validationToken') ?? undefined;
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
