package graph

import "time"

// The types of Microsoft Graph's cloud communications API (call and what it
// is made of, v1.0 and beta). They decode keys and enumerations without regard
// to case, require no @odata.type, and keep what they do not know.

// typeName is the @odata.type of a resource.
func typeName(resource string) string { return "#microsoft.graph." + resource }

// Call is a call (resource call).
type Call struct {
	ODataType           string                      `json:"@odata.type,omitzero"`
	ID                  string                      `json:"id,omitzero"`
	State               Enum                        `json:"state,omitzero"`
	Direction           Enum                        `json:"direction,omitzero"`
	Subject             string                      `json:"subject,omitzero"`
	CallbackURI         string                      `json:"callbackUri,omitzero"`
	CallChainID         string                      `json:"callChainId,omitzero"`
	CallOptions         *CallOptions                `json:"callOptions,omitzero"`
	CallRoutes          []CallRoute                 `json:"callRoutes,omitzero"`
	Source              *ParticipantInfo            `json:"source,omitzero"`
	Targets             []InvitationParticipantInfo `json:"targets,omitzero"`
	AnsweredBy          *ParticipantInfo            `json:"answeredBy,omitzero"`
	RequestedModalities []Enum                      `json:"requestedModalities,omitzero"`
	ActiveModalities    []Enum                      `json:"activeModalities,omitzero"`
	MediaConfig         *MediaConfig                `json:"mediaConfig,omitzero"`
	MediaState          *MediaState                 `json:"mediaState,omitzero"`
	ChatInfo            *ChatInfo                   `json:"chatInfo,omitzero"`
	MeetingInfo         *MeetingInfo                `json:"meetingInfo,omitzero"`
	IncomingContext     *IncomingContext            `json:"incomingContext,omitzero"`
	ResultInfo          *ResultInfo                 `json:"resultInfo,omitzero"`
	ToneInfo            *ToneInfo                   `json:"toneInfo,omitzero"`
	Transcription       *TranscriptionInfo          `json:"transcription,omitzero"`
	TenantID            string                      `json:"tenantId,omitzero"`
	MyParticipantID     string                      `json:"myParticipantId,omitzero"`
	// TerminationReason is a word such as "AppTransferred" (beta).
	TerminationReason string `json:"terminationReason,omitzero"`
	// ApplicationMetadata comes with a policy-based recording's invitation.
	// No published type has it.
	ApplicationMetadata *ApplicationMetadata `json:"applicationMetadata,omitzero"`
	Extra               Extra                `json:"-"`
}

// CallOptions is incomingCallOptions or outgoingCallOptions.
type CallOptions struct {
	ODataType                           string `json:"@odata.type,omitzero"`
	HideBotAfterEscalation              bool   `json:"hideBotAfterEscalation,omitzero"`
	IsContentSharingNotificationEnabled bool   `json:"isContentSharingNotificationEnabled,omitzero"`
	IsDeltaRosterEnabled                bool   `json:"isDeltaRosterEnabled,omitzero"`
	IsInteractiveRosterEnabled          bool   `json:"isInteractiveRosterEnabled,omitzero"`
	Extra                               Extra  `json:"-"`
}

// CallRoute tells by which way a call came.
type CallRoute struct {
	ODataType   string       `json:"@odata.type,omitzero"`
	RoutingType Enum         `json:"routingType,omitzero"`
	Original    *IdentitySet `json:"original,omitzero"`
	Final       *IdentitySet `json:"final,omitzero"`
	Extra       Extra        `json:"-"`
}

// Identity is one party: identity, and what the wire adds to it.
type Identity struct {
	ODataType        string `json:"@odata.type,omitzero"`
	ID               string `json:"id,omitzero"`
	DisplayName      string `json:"displayName,omitzero"`
	TenantID         string `json:"tenantId,omitzero"`
	IdentityProvider string `json:"identityProvider,omitzero"`
	// ApplicationType of an application, such as "LargeGallery-V2".
	ApplicationType string `json:"applicationType,omitzero"`
	Extra           Extra  `json:"-"`
}

// IdentitySet names one party by its kind: identitySet, and the kinds of
// communicationsIdentitySet.
type IdentitySet struct {
	ODataType                      string    `json:"@odata.type,omitzero"`
	User                           *Identity `json:"user,omitzero"`
	Application                    *Identity `json:"application,omitzero"`
	ApplicationInstance            *Identity `json:"applicationInstance,omitzero"`
	Device                         *Identity `json:"device,omitzero"`
	Phone                          *Identity `json:"phone,omitzero"`
	Guest                          *Identity `json:"guest,omitzero"`
	Encrypted                      *Identity `json:"encrypted,omitzero"`
	OnPremises                     *Identity `json:"onPremises,omitzero"`
	AssertedIdentity               *Identity `json:"assertedIdentity,omitzero"`
	AzureCommunicationServicesUser *Identity `json:"azureCommunicationServicesUser,omitzero"`
	Extra                          Extra     `json:"-"`
}

// ParticipantInfo is who takes part, and from where.
type ParticipantInfo struct {
	ODataType     string       `json:"@odata.type,omitzero"`
	ID            string       `json:"id,omitzero"`
	Identity      *IdentitySet `json:"identity,omitzero"`
	CountryCode   string       `json:"countryCode,omitzero"`
	EndpointType  string       `json:"endpointType,omitzero"` // free text on the wire
	EndpointID    string       `json:"endpointId,omitzero"`
	LanguageID    string       `json:"languageId,omitzero"`
	Region        string       `json:"region,omitzero"`
	ParticipantID string       `json:"participantId,omitzero"`
	PlatformID    string       `json:"platformId,omitzero"`
	Extra         Extra        `json:"-"`
}

// InvitationParticipantInfo is who is to take part.
type InvitationParticipantInfo struct {
	ODataType     string       `json:"@odata.type,omitzero"`
	ID            string       `json:"id,omitzero"`
	Identity      *IdentitySet `json:"identity,omitzero"`
	EndpointType  string       `json:"endpointType,omitzero"`
	LanguageID    string       `json:"languageId,omitzero"`
	Region        string       `json:"region,omitzero"`
	Hidden        bool         `json:"hidden,omitzero"`
	ParticipantID string       `json:"participantId,omitzero"`
	// RemoveFromDefaultAudioRoutingGroup keeps the participant out of the
	// call's mix.
	RemoveFromDefaultAudioRoutingGroup bool `json:"removeFromDefaultAudioRoutingGroup,omitzero"`
	// ReplacesCallID makes a transfer or an invitation consultative: that
	// call is ended in favour of this one.
	ReplacesCallID string `json:"replacesCallId,omitzero"`
	Extra          Extra  `json:"-"`
}

// MediaConfig is appHostedMediaConfig, which has a Blob, or
// serviceHostedMediaConfig, which may have PreFetchMedia.
type MediaConfig struct {
	ODataType string `json:"@odata.type,omitzero"`
	// Blob is a media session configuration (package session/blob).
	Blob                        string      `json:"blob,omitzero"`
	PreFetchMedia               []MediaInfo `json:"preFetchMedia,omitzero"`
	RemoveFromDefaultAudioGroup bool        `json:"removeFromDefaultAudioGroup,omitzero"` // beta
	Extra                       Extra       `json:"-"`
}

// MediaInfo is a WAV file: mono, 16 bit, 16 kHz.
type MediaInfo struct {
	ODataType string `json:"@odata.type,omitzero"`
	URI       string `json:"uri,omitzero"`
	// ResourceID makes the service keep the file under that key.
	ResourceID string `json:"resourceId,omitzero"`
	Extra      Extra  `json:"-"`
}

// MediaState tells whether audio flows: active or inactive.
type MediaState struct {
	ODataType string `json:"@odata.type,omitzero"`
	Audio     Enum   `json:"audio,omitzero"`
	Extra     Extra  `json:"-"`
}

// ChatInfo is a meeting's thread.
type ChatInfo struct {
	ODataType           string `json:"@odata.type,omitzero"`
	ThreadID            string `json:"threadId,omitzero"`
	MessageID           string `json:"messageId,omitzero"`
	ReplyChainMessageID string `json:"replyChainMessageId,omitzero"`
	Extra               Extra  `json:"-"`
}

// MeetingInfo is organizerMeetingInfo, tokenMeetingInfo or
// joinMeetingIdMeetingInfo.
type MeetingInfo struct {
	ODataType string       `json:"@odata.type,omitzero"`
	Organizer *IdentitySet `json:"organizer,omitzero"`
	// Token and Passcode are secrets.
	Token                        string `json:"token,omitzero"`
	JoinMeetingID                string `json:"joinMeetingId,omitzero"`
	Passcode                     string `json:"passcode,omitzero"`
	AllowConversationWithoutHost bool   `json:"allowConversationWithoutHost,omitzero"` // beta
	Extra                        Extra  `json:"-"`
}

// IncomingContext tells on whose behalf a call rings.
type IncomingContext struct {
	ODataType             string       `json:"@odata.type,omitzero"`
	SourceParticipantID   string       `json:"sourceParticipantId,omitzero"`
	ObservedParticipantID string       `json:"observedParticipantId,omitzero"`
	OnBehalfOf            *IdentitySet `json:"onBehalfOf,omitzero"`
	Transferor            *IdentitySet `json:"transferor,omitzero"`
	Extra                 Extra        `json:"-"`
}

// ResultInfo is how something ended: Code is an HTTP status or 0.
type ResultInfo struct {
	ODataType string `json:"@odata.type,omitzero"`
	Code      Code   `json:"code,omitzero"`
	Subcode   Code   `json:"subcode,omitzero"`
	Message   string `json:"message,omitzero"`
	Extra     Extra  `json:"-"`
}

// ToneInfo is a key that was pressed: tone0 to tone9, star, pound, a to d,
// flash.
type ToneInfo struct {
	ODataType  string `json:"@odata.type,omitzero"`
	SequenceID int64  `json:"sequenceId,omitzero"`
	Tone       Enum   `json:"tone,omitzero"`
	Extra      Extra  `json:"-"`
}

// TranscriptionInfo tells whether the call is transcribed.
type TranscriptionInfo struct {
	ODataType            string    `json:"@odata.type,omitzero"`
	State                Enum      `json:"state,omitzero"`
	LastModifiedDateTime time.Time `json:"lastModifiedDateTime,omitzero"`
	Extra                Extra     `json:"-"`
}

// ApplicationMetadata is what the service tells a bot of its own.
type ApplicationMetadata struct {
	BotData *BotData `json:"botData,omitzero"`
	Extra   Extra    `json:"-"`
}

// BotData is why a policy invites a recorder. What it tells of the recorded
// user and of the other side stays in Extra as it came.
type BotData struct {
	MediaHostedRegion string   `json:"mediaHostedRegion,omitzero"`
	InviteReasons     []string `json:"inviteReasons,omitzero"`
	PolicyIdentifier  string   `json:"policyIdentifier,omitzero"`
	Extra             Extra    `json:"-"`
}
