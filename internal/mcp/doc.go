// Package mcp serves tools to AI assistants over the Model Context Protocol, with the transport
// "streamable HTTP". Each request is answered with one JSON document: the server keeps no sessions,
// sends no streams and asks its clients for nothing. It knows the versions of the protocol that
// begin with a handshake, from 2025-03-26 on, and those without, from 2026-07-28 on.
//
// Who may call it is decided before: the handler asks no one for a password.
//
// The protocol's own library would do the same, and add four megabytes and seven modules to every
// program that links this one: sessions, streams, OAuth and JSON Schema, of which four tools that
// read need nothing.
//
// Source: https://modelcontextprotocol.io/specification. The project's own client judges it in the
// tests of package api.
package mcp
