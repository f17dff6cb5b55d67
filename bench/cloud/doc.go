// Package cloud is an emulator of the call services' side of the wire: Azure
// Communication Services Call Automation with its media streaming, and Microsoft
// Graph's calls, so that a bot is developed, tested and measured with no tenant,
// no phone number and no tunnel.
//
// A Server rings the bot by Event Grid, takes create, answer, reject, redirect,
// get, hang up and terminate over signed REST, posts the calls' events to the
// bot as CloudEvents with signed tokens, and dials the bot's WebSocket to
// stream what the speakers of a Script say, in real time. What the bot says
// goes through a playout buffer to the callee's ear. Call.Log is the truth of
// both directions, sample by sample, for whoever judges the bot. Faults make
// go wrong what goes wrong in clouds.
//
// At Graph it signs apps in, takes the calls API of v1.0 and beta, and posts
// commsNotifications; it plays prompts, takes recordings, keeps rosters and
// lobbies, brings calls by policies, and dials what the media session
// configuration of app-hosted media names.
//
// Two versions of ACS's API are served, 2022-04-07-preview and 2026-03-12, each
// with its own shapes and events. Where the documents are silent (retries,
// reconnects, error codes) the emulator's choice is stated at the code.
//
// It is written against Microsoft's documents and the captures of their
// clients, and shares no code with the product: an emulator that used our
// parser would prove only that we agree with ourselves. It never asks the real
// cloud anything, and its keys, tokens and phone numbers are worth nothing
// there.
package cloud
