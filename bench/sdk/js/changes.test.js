// Change notifications of a meeting's call, subscribed to by Microsoft's
// client over https.
import assert from 'node:assert/strict';
import { X509Certificate, constants, createDecipheriv, createHmac, privateDecrypt, randomUUID, timingSafeEqual } from 'node:crypto';
import { after, before, test } from 'node:test';
import { admin, botURL, certificate, checkToken, emulator } from '../bot.mjs';
import { Bot, graphAt, refusal, signIn } from './rig.js';

const bot = new Bot();
let graph;

before(async () => {
  await bot.open();
  graph = graphAt(emulator.graph_tls, await signIn());
});
after(() => bot.close());

const content = certificate('content');
const organizer = randomUUID();
const context = JSON.stringify({ Tid: emulator.graph_tenant, Oid: organizer });
const joinWebUrl = `https://teams.microsoft.com/l/meetup-join/19%3ameeting_sdk%40thread.v2/0?context=${encodeURIComponent(context)}`;

const within = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();

const request = () => ({
  changeType: 'updated',
  notificationUrl: `${botURL}/changes`,
  lifecycleNotificationUrl: `${botURL}/lifecycle`,
  resource: `communications/onlineMeetings(joinWebUrl='${encodeURIComponent(joinWebUrl)}')/meetingCallEvents`,
  includeResourceData: true,
  encryptionCertificate: new X509Certificate(content.cert).raw.toString('base64'),
  encryptionCertificateId: 'sdk',
  expirationDateTime: within(120),
  clientState: 'secret',
});

test('a subscription: rich notification, renewal, end', async () => {
  const subscriptions = graph.api('/subscriptions').version('beta');
  const subscription = await subscriptions.post(request());
  assert.equal(subscription.applicationId, emulator.graph_app);
  assert.equal(subscription.encryptionCertificateId, 'sdk');

  const who = { id: randomUUID(), user_id: randomUUID(), display_name: 'Adele Vance', tenant_id: emulator.graph_tenant };
  const { notified } = await admin('POST', '/v1/graph/meeting-events', {
    join_web_url: joinWebUrl,
    type: 'rosterUpdated',
    participants: [who, { ...who, id: randomUUID(), removed_reason: 'Participant has left the meeting call.' }],
  });
  assert.equal(notified, 1);
  const { value, validationTokens } = await bot.posted('change notification', (post) => post.path === '/changes' && post.body);
  assert.equal(value.length, 1);
  assert.equal(value[0].subscriptionId, subscription.id);
  assert.equal(value[0].clientState, 'secret');
  assert.equal(validationTokens.length, 1);
  const claims = await checkToken(validationTokens[0], emulator.changes_oidc);
  assert.equal(claims.aud, emulator.graph_app);
  assert.equal(claims.iss, `https://sts.windows.net/${emulator.graph_tenant}/`);
  assert.equal(claims.appid, '0bf30f3b-4a52-48df-9a82-234910c4a086'); // Microsoft Graph Change Tracking

  const event = decrypt(value[0].encryptedContent);
  assert.equal(event.eventType, 'rosterUpdated');
  const [came, left] = event['participants@delta'];
  assert.equal(came.id, who.id);
  assert.equal(came.info.identity.user.displayName, 'Adele Vance');
  assert.equal(came.info.identity.user.id, who.user_id);
  assert.equal(left.removedState.reason, 'Participant has left the meeting call.');

  const own = () => graph.api(`/subscriptions/${subscription.id}`).version('beta');
  const expires = within(600);
  const renewed = await own().patch({ expirationDateTime: expires });
  assert.equal(Date.parse(renewed.expirationDateTime), Date.parse(expires));
  assert.deepEqual((await graph.api('/subscriptions').version('beta').get()).value.map((s) => s.id), [subscription.id]);
  assert.equal(await own().delete(), undefined);
  const error = await refusal(own().get());
  assert.equal(error.statusCode, 404);
  assert.equal(error.code, 'ResourceNotFound');
});

test('a subscription that was throttled is tried again', async () => {
  await admin('POST', '/v1/faults', { operation: 'createSubscription', status: 429, retry_after: 1 });
  const { id } = await graph.api('/subscriptions').version('beta').post(request());
  const again = await refusal(graph.api('/subscriptions').version('beta').post(request()));
  assert.equal(again.statusCode, 409);
  await graph.api(`/subscriptions/${id}`).version('beta').delete();
});

test('a wrong subscription is refused', async () => {
  const early = await refusal(graph.api('/subscriptions').version('v1.0').post(request()));
  assert.equal(early.statusCode, 400);
  const deaf = { ...request(), notificationUrl: 'https://127.0.0.1:9/' }; // port of discard: nobody listens
  const error = await refusal(graph.api('/subscriptions').version('beta').post(deaf));
  assert.equal(error.statusCode, 400);
  assert.equal(error.code, 'ValidationError');
});

// decrypt opens the content of a rich notification, signature first.
function decrypt({ data, dataSignature, dataKey, encryptionCertificateId, encryptionCertificateThumbprint }) {
  assert.equal(encryptionCertificateId, 'sdk');
  assert.equal(encryptionCertificateThumbprint, new X509Certificate(content.cert).fingerprint.replaceAll(':', ''));
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' };
  const key = privateDecrypt({ key: content.key, ...padding }, Buffer.from(dataKey, 'base64'));
  const sealed = Buffer.from(data, 'base64');
  const signature = createHmac('sha256', key).update(sealed).digest();
  assert.ok(timingSafeEqual(signature, Buffer.from(dataSignature, 'base64')), 'signature');
  const decipher = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16));
  return JSON.parse(Buffer.concat([decipher.update(sealed), decipher.final()]));
}
