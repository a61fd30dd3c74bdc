package emulator

import (
	"cmp"
	"strings"
)

// environment shows what the instance is set to, which decides what the SDKs' components show.
// clerk-js reads it by PATCH in development instances, to let Clerk learn the origin.
func (e *Emulator) environment(c *frontCall) (any, error) {
	s := e.options.Settings
	return bare{values{
		"auth_config": e.authConfig(s), "display_config": e.displayConfig(c, s),
		"user_settings": userSettings(s, e.policies.Restrictions), "organization_settings": e.policies.Organizations.frontend(),
		"fraud_settings": values{"object": "fraud_settings", "native": values{"device_attestation_mode": "disabled"}},
		"commerce_settings": values{"billing": values{
			"stripe_publishable_key": nil, "free_trial_requires_payment_method": false,
			"user": values{"enabled": false, "has_paid_plans": false}, "organization": values{"enabled": false, "has_paid_plans": false},
		}},
		"api_keys_settings": values{"enabled": false, "user_api_keys_enabled": false, "orgs_api_keys_enabled": false},
		"protect_config":    values{"loaders": []any{}},
		"client_debug_mode": false, "partitioned_cookies": false, "maintenance_mode": false,
	}}, nil
}

func (e *Emulator) authConfig(s Settings) values {
	config := values{
		"object": "auth_config", "id": "aconf_" + strings.TrimPrefix(e.ID, "ins_"), "single_session_mode": !s.MultiSession,
		"enhanced_email_deliverability": false, "test_mode": true, "cookieless_dev": true, "url_based_session_syncing": true,
		"claimed_at": nil, "reverification": true,
		"native_settings": values{
			"object": "native_settings", "api_enabled": true, "trusted_device_sign_in_enabled": false,
			"trusted_device_enrollment_prompt_after_sign_in_enabled": false, "trusted_device_enrollment_prompt_after_sign_up_enabled": false,
		},
		"email_address_verification_strategies": []string{"email_code"}, "second_factors": []string{"totp", "backup_code", "phone_code"},
	}
	identifiers, factors := []string{}, []string{"ticket"}
	for _, a := range s.attributes() {
		config[a.name] = a.setting
		if a.setting == "off" {
			continue
		}
		switch a.name {
		case "email_address", "phone_number", "username":
			identifiers = append(identifiers, a.name)
		}
		factors = append(factors, firstFactors(a.name)...)
	}
	config["identification_strategies"], config["first_factors"] = identifiers, factors
	config["identification_requirements"] = [][]string{identifiers}
	return config
}

// firstFactors returns the strategies by which an attribute identifies people at sign-in.
func firstFactors(attribute string) []string {
	return map[string][]string{
		"email_address": {"email_code"}, "phone_number": {"phone_code"}, "password": {"password"},
	}[attribute]
}

func (e *Emulator) displayConfig(c *frontCall, s Settings) values {
	base := cmp.Or(c.origin, e.url, e.Issuer) // package inspector has /sign-in and /sign-up
	home := cmp.Or(s.HomeURL, base+"/")
	signIn, signUp := cmp.Or(s.SignInURL, base+"/sign-in"), cmp.Or(s.SignUpURL, base+"/sign-up")
	return values{
		"object": "display_config", "id": "display_config_" + strings.TrimPrefix(e.ID, "ins_"), "instance_environment_type": "development",
		"application_name": applicationName, "theme": themeSettings(), "preferred_sign_in_strategy": cmp.Or(e.policies.Instance.PreferredStrategy, "password"),
		"logo_image_url": nil, "favicon_image_url": nil, "logo_url": nil, "favicon_url": nil, "logo_image": nil, "favicon_image": nil,
		"home_url": home, "sign_in_url": signIn, "sign_up_url": signUp, "user_profile_url": base + "/user", "waitlist_url": base + "/waitlist",
		"oauth_consent_url": base + "/oauth-consent", "after_sign_in_url": home, "after_sign_up_url": home, "after_sign_out_one_url": signIn,
		"after_sign_out_all_url": signIn, "after_switch_session_url": home, "after_join_waitlist_url": home,
		"organization_profile_url": base + "/organization", "create_organization_url": base + "/create-organization",
		"after_leave_organization_url": home, "after_create_organization_url": home, "logo_link_url": home, "support_email": text(e.policies.Instance.SupportEmail),
		"branded": false, "experimental_force_oauth_first": false, "clerk_js_version": "6", "show_devmode_warning": false,
		"google_one_tap_client_id": nil, "help_url": nil, "privacy_policy_url": nil, "terms_url": nil,
		"captcha_public_key": nil, "captcha_widget_type": nil, "captcha_public_key_invisible": nil, "captcha_provider": nil,
		"captcha_oauth_bypass": []string{}, "captcha_heartbeat": false,
	}
}

func themeSettings() values {
	return values{
		"buttons": values{"font_color": "#ffffff", "font_family": "sans-serif", "font_weight": "600"},
		"general": values{
			"color": "#6c47ff", "padding": "1em", "box_shadow": "0 2px 8px rgba(0, 0, 0, 0.2)", "font_color": "#151515", "font_family": "sans-serif",
			"border_radius": "0.5em", "background_color": "#ffffff", "label_font_weight": "600",
		},
		"accounts": values{"background_color": "#ffffff"},
	}
}

func userSettings(s Settings, restricted Restrictions) values {
	attributes := values{}
	for _, a := range s.attributes() {
		attributes[a.name] = attributeSettings(a)
	}
	for _, name := range []string{"web3_wallet", "passkey"} {
		attributes[name] = attributeSettings(attribute{name, "off"})
	}
	for name, factor := range map[string]string{"authenticator_app": "totp", "backup_code": "backup_code"} {
		x := attributeSettings(attribute{name, "on"})
		x["used_for_second_factor"], x["second_factors"] = true, []string{factor}
		attributes[name] = x
	}
	attributes["ticket"] = attributeSettings(attribute{"ticket", "on"})
	on, off := values{"enabled": true}, values{"enabled": false}
	return values{
		"attributes": attributes, "social": values{}, "saml": off, "enterprise_sso": values{"enabled": false, "self_serve_sso": false},
		"sign_in": values{"second_factor": values{"required": false}},
		"sign_up": values{
			"captcha_enabled": false, "captcha_widget_type": "smart", "custom_action_required": false, "progressive": true, "mode": "public",
			"legal_consent_enabled": false,
		},
		"restrictions": values{
			"allowlist": enabled(restricted.Allowlist), "blocklist": enabled(restricted.Blocklist),
			"allowlist_blocklist_disabled_on_sign_in": enabled(restricted.AllowlistBlocklistDisabledOnSignIn),
			"block_email_subaddresses":                enabled(restricted.BlockEmailSubaddresses),
			"block_disposable_email_domains":          enabled(restricted.BlockDisposableEmailDomains),
		},
		"password_settings": values{
			"disable_hibp": true, "disable_password_reverification": false, "min_length": minPassword, "max_length": maxPassword,
			"require_special_char": false, "require_numbers": false, "require_uppercase": false, "require_lowercase": false, "show_zxcvbn": false,
			"min_zxcvbn_strength": 0, "enforce_hibp_on_sign_in": false, "allowed_special_characters": "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~",
		},
		"username_settings": values{
			"min_length": minUsername, "max_length": maxUsername, "allow_extended_special_characters": false, "allow_numeric_usernames": false,
		},
		"actions": values{"delete_self": true, "create_organization": true, "create_organizations_limit": nil},
		"attack_protection": values{
			"user_lockout": values{"enabled": true, "max_attempts": lockAttempts, "duration_in_minutes": int(lockout.Minutes())},
			"pii":          on, "email_link": values{"require_same_client": false}, "enumeration_protection": off,
		},
		"passkey_settings": values{"allow_autofill": false, "show_sign_in_button": false, "satisfies_second_factor": false},
	}
}

func attributeSettings(a attribute) values {
	enabled := a.setting != "off"
	factors := []string{}
	verifications := []string{}
	second := []string{}
	if enabled {
		factors = append(factors, firstFactors(a.name)...)
		switch a.name {
		case "email_address":
			verifications = []string{"email_code"}
		case "phone_number":
			verifications, second = []string{"phone_code"}, []string{"phone_code"}
		}
	}
	return values{
		"enabled": enabled, "required": a.setting == "required", "used_for_first_factor": enabled && (len(factors) > 0 || a.name == "username"),
		"first_factors": factors, "used_for_second_factor": len(second) > 0, "second_factors": second, "verifications": verifications,
		"verify_at_sign_up": len(verifications) > 0, "immutable": false,
	}
}

func enabled(on bool) values { return values{"enabled": on} }

// frontend returns the settings as pages see them.
func (o OrganizationSettings) frontend() values {
	return values{
		"enabled": o.Enabled, "max_allowed_memberships": o.MaxAllowedMemberships, "actions": values{"admin_delete": o.AdminDeleteEnabled},
		"domains": values{"enabled": o.DomainsEnabled, "enrollment_modes": o.DomainsEnrollmentModes, "default_role": o.DomainsDefaultRole},
		"slug":    values{"disabled": o.SlugDisabled}, "creator_role": o.CreatorRole,
	}
}
