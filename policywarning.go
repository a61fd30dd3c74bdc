package clerksync

// policyWarnings returns a warning where proxies are answered without a route policy.
func (m *Mirror) policyWarnings() []Warning {
	if !m.config.ForwardAuthWithoutPolicy {
		return nil
	}
	return []Warning{{
		Code:    "no_policy",
		Message: "Forward auth has no route policy: any signed-in user may make any request to the applications behind the proxy.",
		Remedy:  "Write a policy and name it in CLERKSYNC_POLICY_FILE, or unset CLERKSYNC_TRUSTED_PROXIES if no proxy asks.",
	}}
}
