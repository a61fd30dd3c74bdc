// Package config reads and validates the settings of the clerksync commands.
//
// [Settings] is the table of settings; docs/configuration.md and examples/clerksync.yaml are
// generated from it. [Load] reads each setting from the first source that has it: flag,
// environment, YAML file, default. An empty text means unset in every source, because templates
// pass on names whether they are set or not. Load warns of it where the setting restricts
// something. An empty policy is a fault.
//
//   - Secrets have no flag, because every user of a machine can read the arguments of its
//     processes.
//   - --config or CLERKSYNC_CONFIG names the YAML file. Its keys are the environment names in lower
//     case (database_url, clerk_secret_key, clerksync_listen). A list is a YAML list or text with
//     commas. The file is strict: an unknown or repeated key, a nested value, an alias, a second
//     document and an empty file are faults.
//   - NAME_FILE (CLERK_SECRET_KEY_FILE, clerk_secret_key_file) names a file that contains the
//     value. Line ends at its end do not count. NAME and NAME_FILE in one source are a fault. So is
//     an empty file, unless the setting restricts nothing: a lost file must not permit what it
//     restricted.
//   - An alias (PORT, CLERK_WEBHOOK_SECRET) is read in each source where the name itself is unset.
//
// Relative paths start at the working folder, also in the YAML file.
//
// Faults are reported all at once, in three lines each: what happened, why it matters, what to do.
// Neither faults nor warnings quote a value, a path that was given in place of one, or the text of
// a parser, since any of them may contain a secret that was pasted into the wrong place. They name
// settings, positions and line numbers instead.
package config
