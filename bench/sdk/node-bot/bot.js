// A bot of Azure Communication Services: it answers whoever calls, says back
// what each of them says, and hangs up when somebody presses #.
//
//   ACS='endpoint=https://127.0.0.1:7443/;accesskey=...' URL=http://127.0.0.1:7070 node bot.js
import { createServer } from 'node:http';
import { CallAutomationClient, StreamingData, createOutboundAudioData, parseCallAutomationEvent } from '@azure/communication-call-automation';
import { WebSocketServer } from 'ws';

const { ACS: connection, URL: address } = process.env;
const client = new CallAutomationClient(connection);

async function events([event]) {
  if (event.eventType === 'Microsoft.EventGrid.SubscriptionValidationEvent') {
    return { validationResponse: event.data.validationCode };
  }
  await client.answerCall(event.data.incomingCallContext, `${address}/callbacks`, {
    mediaStreamingOptions: {
      transportUrl: `${address.replace('http', 'ws')}/media`, transportType: 'websocket', contentType: 'audio',
      audioChannelType: 'unmixed', startMediaStreaming: true, enableBidirectional: true, enableDtmfTones: true,
    },
  });
}

const server = createServer(async (request, response) => {
  const body = JSON.parse(Buffer.concat(await request.toArray()));
  if (request.url === '/events') {
    response.end(JSON.stringify(await events(body)));
  } else {
    response.end();
    console.log(parseCallAutomationEvent(body).kind);
  }
});
new WebSocketServer({ server, path: '/media' }).on('connection', (socket, { headers }) => {
  socket.on('message', async (message) => {
    const data = StreamingData.parse(message.toString());
    if (StreamingData.getStreamingKind() === 'AudioData' && !data.isSilent) {
      socket.send(createOutboundAudioData(data.data));
    } else if (StreamingData.getStreamingKind() === 'DtmfData' && data.data === '#') {
      await client.getCallConnection(headers['x-ms-call-connection-id']).hangUp(true);
    }
  });
});
server.listen(new URL(address).port, '127.0.0.1', () => console.log(`listening at ${address}`));
