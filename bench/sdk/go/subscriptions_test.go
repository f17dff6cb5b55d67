package sdk

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/uuid"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/stretchr/testify/require"
)

// signIn is azidentity's credential for an application with a secret, which
// asks the emulator as its authority.
func (r *rig) signIn(secret string) azcore.TokenCredential {
	credential, err := azidentity.NewClientSecretCredential(r.said["graph_tenant"], r.said["graph_app"], secret,
		&azidentity.ClientSecretCredentialOptions{
			ClientOptions: azcore.ClientOptions{
				Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: r.said["graph_tls"]},
				Transport: &http.Client{Transport: r.wire.next},
			},
			DisableInstanceDiscovery: true,
		})
	require.NoError(r.t, err)
	return credential
}

func TestSignIn(t *testing.T) {
	r := newRig(t, "real")
	created, call := r.create(r.graph(r.signIn(r.said["graph_secret"]), "v1.0"), r.peer(serviceHosted()), "Established")
	r.end(*created.GetId(), "Terminated", call)

	_, err := r.graph(r.signIn("wrong"), "v1.0").Communications().Calls().Post(t.Context(), r.peer(serviceHosted()), nil)
	var refused *azidentity.AuthenticationFailedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusUnauthorized, refused.RawResponse.StatusCode)
}

// certificate is one that signs itself, in base64.
func certificate(t *testing.T) string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(der)
}

// The SDK is v1.0's, and meetingCallEvents are part of beta: the base address
// says which.
func TestSubscription(t *testing.T) {
	r := newRig(t, "real")
	link := "https://teams.microsoft.com/l/meetup-join/19%3ameeting_sdk%40thread.v2/0?context=" +
		url.QueryEscape(fmt.Sprintf(`{"Tid":%q,"Oid":%q}`, r.said["graph_tenant"], uuid.NewString()))
	request := models.NewSubscription()
	request.SetChangeType(ptr("updated"))
	request.SetNotificationUrl(ptr(r.bot.URL + "/changes"))
	request.SetLifecycleNotificationUrl(ptr(r.bot.URL + "/lifecycle"))
	request.SetResource(ptr("communications/onlineMeetings(joinWebUrl='" + url.QueryEscape(link) + "')/meetingCallEvents"))
	request.SetIncludeResourceData(ptr(true))
	request.SetEncryptionCertificate(ptr(certificate(t)))
	request.SetEncryptionCertificateId(ptr("sdk"))
	request.SetClientState(ptr("secret"))
	request.SetExpirationDateTime(ptr(time.Now().Add(2 * time.Hour)))

	graph := r.static("beta")
	created, err := graph.Subscriptions().Post(t.Context(), request, nil)
	require.NoError(t, err)
	require.Equal(t, "gzip", r.wire.last().Get("Content-Encoding"))
	require.Equal(t, r.said["graph_app"], *created.GetApplicationId())
	require.Equal(t, *request.GetResource(), *created.GetResource())
	require.Equal(t, "secret", *created.GetClientState())
	require.Equal(t, "sdk", *created.GetEncryptionCertificateId())
	require.WithinDuration(t, *request.GetExpirationDateTime(), *created.GetExpirationDateTime(), time.Second)

	notified := r.admin("/v1/graph/meeting-events", map[string]any{"join_web_url": link, "type": "callStarted"})["notified"]
	require.EqualValues(t, 1, notified)
	change := r.await("change notification", func(p *post) bool { return p.path == "/changes" }).body.Value[0]
	require.Equal(t, *created.GetId(), change.SubscriptionID)
	require.Equal(t, "secret", change.ClientState)
	require.NotEmpty(t, change.EncryptedContent)

	own := graph.Subscriptions().BySubscriptionId(*created.GetId())
	renewal := models.NewSubscription()
	renewal.SetExpirationDateTime(ptr(time.Now().Add(10 * time.Hour)))
	renewed, err := own.Patch(t.Context(), renewal, nil)
	require.NoError(t, err)
	require.WithinDuration(t, *renewal.GetExpirationDateTime(), *renewed.GetExpirationDateTime(), time.Second)
	require.NoError(t, own.Reauthorize().Post(t.Context(), nil))
	all, err := graph.Subscriptions().Get(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, all.GetValue(), 1)
	_, err = graph.Subscriptions().Post(t.Context(), request, nil)
	requireRefused(t, err, 409, "ObjectIdentifierInUse")
	require.NoError(t, own.Delete(t.Context(), nil))
	_, err = own.Get(t.Context(), nil)
	requireRefused(t, err, 404, "ResourceNotFound")

	_, err = r.static("v1.0").Subscriptions().Post(t.Context(), request, nil)
	requireRefused(t, err, 400, "ExtensionError")
}
