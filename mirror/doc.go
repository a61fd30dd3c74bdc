// Package mirror has the records that package clerksync takes and returns: mirrored users,
// sessions, organizations and memberships, stored webhook deliveries, the audit, drift, status and
// reports, and the filters and pages of their lists.
//
// It is plain data and does no work. Three rules hold for every record:
//
//   - A time is a time.Time in UTC, to the millisecond. The zero time means that the time is not
//     known or that nothing happened yet.
//   - JSON keys are snake_case and stable. Times are RFC 3339 text, or null for the zero time.
//     Every record can be decoded from its own JSON.
//   - JSON and log output never show private metadata, the object as Clerk sent it, or the body of
//     a delivery. Methods return them: [User.PrivateMetadata], [User.RawObject], [Delivery.Body]
//     and so on.
package mirror
