/** What a gateway's `/metrics` says now: the value of each line, by name with labels as it is written there. */
export async function metricsOf(opsUrl: string): Promise<Map<string, number>> {
  const answer = await fetch(`${opsUrl}/metrics`);
  if (!answer.ok) throw new Error(`/metrics answers ${answer.status}`);
  const values = new Map<string, number>();
  for (const line of (await answer.text()).split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const space = line.lastIndexOf(" ");
    values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}
