package graph

import (
	"context"
	"testing"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

func TestOperationsEnd(t *testing.T) {
	var o Operations
	running := CommsOperation{ODataType: "#microsoft.graph.playPromptOperation", ID: "0fe0623f-d628-42ed-b4bd-8ac290072cc5", Status: "running"}
	ended := CommsOperation{ID: "0FE0623FD62842EDB4BD8AC290072CC5", Status: "completed", ResultInfo: &ResultInfo{Code: 200}}

	waited := o.begin("AB-1", running)
	o.Complete("other", ended)
	select {
	case <-waited.Done():
		t.Fatal("an operation of another call ended this one")
	default:
	}
	o.Complete(Key("ab1"), CommsOperation{ID: ended.ID, Status: "running"})
	o.Complete(Key("ab1"), ended)
	end, err := waited.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, Code(200), end.ResultInfo.Code)
	require.Equal(t, "playPromptOperation", waited.Kind)

	o.Complete(Key("ab2"), ended)
	_, err = o.begin("ab-2", running).Wait(t.Context())
	require.NoError(t, err, "the notification overtook the response")

	_, err = o.begin("ab3", CommsOperation{Status: "completed"}).Wait(t.Context())
	require.NoError(t, err, "over in the response")

	failed := o.begin("ab4", running)
	o.Complete("ab4", CommsOperation{ID: ended.ID, Status: "Failed", ResultInfo: &ResultInfo{Code: 400, Subcode: 8508, Message: "cancelled"}})
	_, err = failed.Wait(t.Context())
	var refused *session.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 8508, refused.SubCode)
}

func TestOperationsEndWithTheirCall(t *testing.T) {
	var o Operations
	p := o.begin("A-B", CommsOperation{ID: "1", Status: "running"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Wait(ctx)
	require.ErrorIs(t, err, context.Canceled)
	o.EndCall("ab")
	_, err = p.Wait(t.Context())
	require.ErrorIs(t, err, session.ErrEnded)
}
