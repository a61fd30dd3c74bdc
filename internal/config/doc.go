// Package config reads and validates the settings of the clerksync commands.
//
// [Settings] is the one table of settings. [Load] reads each of them from the first source that has it: flag,
// environment, YAML file, default. An empty text means unset, in every source, because templates hand on names whether
// they are set or not. It is warned of where the setting restricts something, and an empty policy is a fault.
//
//   - A flag is the environment name in lower case, with hyphens and without CLERKSYNC_: --listen sets
//     CLERKSYNC_LISTEN, --database-url sets DATABASE_URL. Secrets have no flag, because every user of a machine can
//     read the arguments of its processes.
//   - The YAML file is named by --config or CLERKSYNC_CONFIG. Its keys are the environment names in lower case
//     (database_url, clerk_secret_key, clerksync_listen); lists are YAML lists or comma text. It is strict: an unknown
//     or repeated key, a nested value, an alias, a second document or nothing at all is a fault.
//   - NAME_FILE in any source (--policy-file, CLERK_SECRET_KEY_FILE, clerk_secret_key_file) names a file whose content
//     is the value, without the line ends that close it. NAME and NAME_FILE in one source are a fault. So is an empty
//     file, unless the setting restricts nothing: a file that was lost must not open what it closed.
//   - An alias (PORT, CLERK_WEBHOOK_SECRET) is read in each source where the name itself is unset there.
//
// Relative paths start at the working folder, those in the YAML file too.
//
// Faults are reported all at once, three lines each: what happened, why it matters, what to do. Neither faults nor
// warnings ever quote a value, a path that was given in place of one, or text of a parser, since any of them may hold
// a secret that was pasted into the wrong place; they point at names, positions and line numbers instead.
package config
