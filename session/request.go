package session

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// request asks the cloud and reports what came of it.
func (c *Call) request(p post) {
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("cloud panicked", "request", p.cmd.String(), "panic", v, "stack", string(debug.Stack()))
			c.inbox.put(failed{p.cmd, fmt.Errorf("session: %s: %s: panic: %v", c.cloud.Name(), p.cmd, v)})
		}
	}()
	ctx, cancel := context.WithTimeout(c.ctx, c.manager.requestTimeout)
	defer cancel()
	if p.cmd == cmdRoster {
		c.requestRoster(ctx, p)
		return
	}
	conn, err := c.ask(ctx, p)
	if err == nil && (p.cmd == cmdCreate || p.cmd == cmdAnswer) && conn.CallID == "" {
		err = &Error{Cloud: c.cloud.Name(), Op: p.cmd.String(), Err: errors.New("response without a call id")}
	}
	if err != nil {
		c.inbox.put(failed{p.cmd, err})
		return
	}
	c.inbox.put(succeeded{cmd: p.cmd, conn: conn})
}

func (c *Call) requestRoster(ctx context.Context, p post) {
	keeper, ok := c.cloud.(RosterKeeper)
	if !ok { // the machine was told so
		c.inbox.put(failed{p.cmd, errors.New("session: cloud keeps no roster")})
		return
	}
	roster, err := keeper.Participants(ctx, p.callID)
	if err != nil {
		c.inbox.put(failed{p.cmd, err})
		return
	}
	c.inbox.put(succeeded{cmd: p.cmd, roster: roster})
}

func (c *Call) ask(ctx context.Context, p post) (conn Connection, err error) {
	switch p.cmd {
	case cmdCreate:
		media := c.mediaRequest()
		media.Ref = c.id
		return c.cloud.Create(ctx, CreateRequest{Body: c.body, Media: media})
	case cmdAnswer:
		return c.cloud.Answer(ctx, c.incoming, c.mediaRequest())
	case cmdReject:
		err = c.cloud.Reject(ctx, c.incoming, p.reason)
	case cmdRedirect:
		err = c.cloud.Redirect(ctx, c.incoming, p.target)
	case cmdGet:
		return c.cloud.Get(ctx, p.callID)
	case cmdHangUp:
		err = c.cloud.HangUp(ctx, p.callID, p.forEveryone)
	case cmdKeepAlive:
		if keeper, ok := c.cloud.(KeepAliver); ok {
			err = keeper.KeepAlive(ctx, p.callID)
		}
	}
	return conn, err
}

func (c *Call) mediaRequest() MediaRequest {
	m := MediaRequest{
		CallbackURL:      c.manager.callbackURL,
		ServiceHosted:    c.options.ServiceHosted,
		Contexts:         c.contexts,
		Answer:           c.options.Answer,
		Channels:         c.options.Channels,
		SampleRate:       c.options.SampleRate,
		Bidirectional:    c.options.Bidirectional,
		DTMF:             c.options.DTMF,
		OperationContext: c.options.OperationContext,
	}
	if url := c.manager.callbackURLs[c.cloud.Name()]; url != "" {
		m.CallbackURL = url
	}
	if c.endpoint != nil {
		m.URL = c.endpoint.URL()
	}
	return m
}
