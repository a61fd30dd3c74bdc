// Yields the changes after a cursor, from clerksync's listener for operators. Streams end after some minutes, and with an
// error where the network fails. Store the cursor of each change with your work, and begin again after it.
export async function* changes(url, token, after) {
  const response = await fetch(`${url}/api/changes?after=${encodeURIComponent(after)}`, {
    headers: { Authorization: `Bearer ${token}`, Accept: 'text/event-stream' },
  });
  if (!response.ok) throw new Error(`changes: ${response.status}`); // 410: the feed no longer has the cursor; read everything again
  let event;
  let rest = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const [, field, value] = /^(\w+): (.*)$/.exec(line) ?? [];
      if (field === 'event') event = value;
      else if (field === 'data' && event === 'change') yield JSON.parse(value);
      else if (field === 'data' && event === 'gone') throw new Error(`changes: ${value}`);
    }
  }
}
