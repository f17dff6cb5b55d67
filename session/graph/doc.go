// Package graph speaks Microsoft Graph's cloud communications API, by which
// Teams calls are controlled: a client that places and answers calls and acts
// in them, the webhook that takes the service's notifications, and change
// notifications of meetings. It signals; it never touches media.
package graph
