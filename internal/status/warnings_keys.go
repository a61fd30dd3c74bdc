package status

import "github.com/clerksync/clerksync/mirror"

// warnOfRevocations warns of revocations that have no end: every process holds them in memory, and
// reads all of them after each new one.
func warnOfRevocations(s *signals) []mirror.Warning {
	if s.stored == nil || s.stored.Revocations <= maxCounted {
		return nil
	}
	return []mirror.Warning{{
		Code: "revocations_kept", Severity: mirror.SeverityWarning,
		Message: "More than 10,000 revocations of tokens are kept without an end, because it is not known when the tokens expire. Every server holds them in memory.",
		Remedy: s.remedy("Say when a JWT expires: clerksync keys revoke --expires TIME JTI, also for those revoked already. Or revoke all tokens of a subject at once.",
			"Say when a JWT expires: m.Keys().RevokeJWT, also for those that are revoked already. Or revoke all tokens of a subject at once."),
	}}
}
