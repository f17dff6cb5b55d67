// An echo of ACS streaming in Node: ws, and Microsoft's own parser.
import { StreamingData, createOutboundAudioData } from '@azure/communication-call-automation';
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
server.on('listening', () => console.log(`ws://127.0.0.1:${server.address().port}/media`));
server.on('connection', (socket) => {
  socket.on('error', () => socket.terminate());
  socket.on('message', (message) => {
    const data = StreamingData.parse(message.toString());
    if (StreamingData.getStreamingKind() === 'AudioData') {
      socket.send(createOutboundAudioData(data.data));
    }
  });
});
