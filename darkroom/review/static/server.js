// Talking to the server on this machine; nothing else is ever asked.
export class Refused extends Error {
  constructor(status, answer) {
    super(answer.error || `the server answered ${status}`);
    this.status = status;
    this.hint = answer.hint || "";
  }
}

export async function ask(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, body === undefined ? {} : post);
  } catch {
    throw new Refused(0, { error: "darkroom does not answer", hint: "Is `darkroom review` still running in the terminal?" });
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

export const scanPath = (id, rest = "") => `api/scans/${id}${rest}`;
