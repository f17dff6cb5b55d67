// Package cloud is an emulator of the call services' side of the wire: Azure
// Communication Services Call Automation with its media streaming, and Microsoft
// Graph's calls, so that a bot is developed, tested and measured with no tenant,
// no phone number and no tunnel.
//
// A Server rings the bot by Event Grid, takes all operations of Call Automation
// over REST that is signed or has a token, posts the calls' events to the bot as
// CloudEvents with signed tokens, and dials the bot's WebSocket to stream what
// the speakers of a Script say, in real time. What the bot says goes through a
// playout buffer to the callee's ear. Call.Log is the truth of both directions,
// sample by sample, for whoever judges the bot. Faults make go wrong what goes
// wrong in clouds.
//
// In a call of Communication Services, at the bot's request,
//
//   - prompts are fetched and heard, a text as tones that last as long as it is;
//   - keys, choices and speech are recognized, and speech is transcribed, of what
//     the speakers are said to say (Speaker.Says, Call.Speak), for the emulator
//     understands no audio;
//   - participants are added, who answer, decline or do not pick up
//     (Server.OnAdd), muted, put on hold, moved and removed, and calls are
//     transferred and connected to;
//   - what is said is recorded into a WAV file (Server.RecordingDir).
//
// The admin API does for other processes what Server and Call do in Go: admin.go,
// adminroster.go, acsadmin.go, graphadmin.go and peopleadmin.go list its paths.
//
// People take part by WebRTC, at the admin address (person.go): their microphone
// is one of the call's actors, and they hear all others and the bot.
//
// At Graph it signs apps in, takes the calls API of v1.0 and beta, and posts
// commsNotifications; it plays prompts, takes recordings, keeps rosters and
// lobbies, brings calls by policies, and dials what the media session
// configuration of app-hosted media names: a WebSocket, or by WHIP WebRTC.
//
// Five versions of ACS's API are served, 2022-04-07-preview, 2023-03-06,
// 2024-04-15, 2025-06-15 and 2026-03-12, each with its own operations, shapes
// and events: a call has the events that the version knows by which it was
// made. Where the documents are silent (retries,
// reconnects, error codes) the emulator's choice is stated at the code.
//
// It is written against Microsoft's documents and the captures of their
// clients, and shares no code with the product: an emulator that used our
// parser would prove only that we agree with ourselves. It never asks the real
// cloud anything, and its keys, tokens and phone numbers are worth nothing
// there.
package cloud
