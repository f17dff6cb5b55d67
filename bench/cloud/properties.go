package cloud

// properties are a call's, before they take the shape of a version.
type properties struct {
	callConnectionID, serverCallID, correlationID string

	source      *identifier
	callerID    *phoneModel
	displayName string
	targets     []identifier
	answeredBy  string
	state       string
	callbackURI string

	// subscriptionID of the media; empty without media.
	subscriptionID string
	// streaming tells whether the media flows.
	streaming bool
	// transcription, nil without it.
	transcription *transcriptionState
	// answeredFor is the number that was called.
	answeredFor *phoneModel
}

// properties2022 is CallConnectionProperties of 2022-04-07-preview.
type properties2022 struct {
	CallConnectionID    string       `json:"callConnectionId"`
	ServerCallID        string       `json:"serverCallId"`
	Source              *callSource  `json:"source,omitempty"`
	Targets             []identifier `json:"targets"`
	CallConnectionState string       `json:"callConnectionState"`
	CallbackURI         string       `json:"callbackUri"`
	MediaSubscriptionID string       `json:"mediaSubscriptionId,omitempty"`
}

// properties2026 is CallConnectionProperties of 2023-03-06 and later; the
// subscriptions came with 2025-06-15.
type properties2026 struct {
	CallConnectionID           string             `json:"callConnectionId"`
	ServerCallID               string             `json:"serverCallId"`
	Targets                    []identifier       `json:"targets"`
	CallConnectionState        string             `json:"callConnectionState"`
	CallbackURI                string             `json:"callbackUri"`
	SourceCallerIDNumber       *phoneModel        `json:"sourceCallerIdNumber,omitempty"`
	SourceDisplayName          string             `json:"sourceDisplayName,omitempty"`
	Source                     *identifier        `json:"source,omitempty"`
	CorrelationID              string             `json:"correlationId"`
	AnsweredBy                 *userModel         `json:"answeredBy,omitempty"`
	AnsweredFor                *phoneModel        `json:"answeredFor,omitempty"`
	MediaStreamingSubscription *subscriptionModel `json:"mediaStreamingSubscription,omitempty"`
	TranscriptionSubscription  *subscriptionModel `json:"transcriptionSubscription,omitempty"`
}

// subscriptionModel is MediaStreamingSubscription and
// TranscriptionSubscription.
type subscriptionModel struct {
	ID                     string   `json:"id"`
	State                  string   `json:"state"`
	SubscribedContentTypes []string `json:"subscribedContentTypes,omitempty"`
	SubscribedResultTypes  []string `json:"subscribedResultTypes,omitempty"`
	Locale                 string   `json:"locale,omitempty"`
}

func subscriptionState(active bool) string {
	if active {
		return "active"
	}
	return "inactive"
}

// shape returns p as a version writes it.
func (p properties) shape(version string) any {
	if version == version2022 {
		return p.shape2022()
	}
	out := properties2026{
		CallConnectionID: p.callConnectionID, ServerCallID: p.serverCallID, CallConnectionState: p.state,
		CallbackURI: p.callbackURI, SourceCallerIDNumber: p.callerID, SourceDisplayName: p.displayName,
		CorrelationID: p.correlationID,
	}
	for _, t := range p.targets {
		out.Targets = append(out.Targets, t.as(version))
	}
	if p.source != nil {
		source := p.source.as(version)
		out.Source = &source
	}
	if p.answeredBy != "" {
		out.AnsweredBy = &userModel{ID: p.answeredBy}
	}
	if version < version2025 {
		return out
	}
	out.AnsweredFor = p.answeredFor
	if p.subscriptionID != "" {
		out.MediaStreamingSubscription = &subscriptionModel{
			ID: p.subscriptionID, State: subscriptionState(p.streaming), SubscribedContentTypes: []string{"audio"},
		}
	}
	if s := p.transcription; s != nil {
		out.TranscriptionSubscription = &subscriptionModel{
			ID: s.id, State: subscriptionState(s.active), SubscribedResultTypes: s.results(), Locale: s.locale,
		}
	}
	return out
}

func (p properties) shape2022() properties2022 {
	out := properties2022{
		CallConnectionID: p.callConnectionID, ServerCallID: p.serverCallID, CallConnectionState: p.state,
		Targets: p.targets, CallbackURI: p.callbackURI, MediaSubscriptionID: p.subscriptionID,
	}
	if p.source != nil {
		out.Source = &callSource{CallerID: p.callerID, DisplayName: p.displayName, Identifier: p.source}
	}
	return out
}
