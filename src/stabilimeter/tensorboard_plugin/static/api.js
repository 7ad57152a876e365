// Data from the server; addresses are relative to the plugin, so that any --path_prefix works.

export async function get(name, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== null && value !== undefined));
  const response = await fetch(`data/${name}?${query}`);
  const answer = await response.json().catch(() => ({error: `the server answered with status ${response.status}`}));
  if (!response.ok) throw new Error(answer.error ?? `status ${response.status}`);
  return answer;
}
