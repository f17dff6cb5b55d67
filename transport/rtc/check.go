package rtc

// CheckOffer tells of an offer, before an address is minted for it, whether its
// peer would hear and speak. Errors are *OfferError.
func (s *Server) CheckOffer(offer []byte) (hears, speaks bool, err error) {
	o, err := readOffer(string(offer), s.cfg.Codecs)
	if err != nil {
		return false, false, err
	}
	return o.send, o.recv, nil
}
