import {type HivemindProcess, startHivemind, waitFor} from '@hivemind/testkit';

describe('one machine in one process', () => {
  let hivemind: HivemindProcess;
  beforeAll(async () => {
    hivemind = await startHivemind({args: ['--no-agent']});
  });
  afterAll(() => hivemind.stop());

  it('leads itself, and is no ring', async () => {
    expect(await hivemind.call('GET', '/members')).toMatchObject({status: 200, body: {items: [], next: null}});
    // It is ready before the election is over.
    const leader = await waitFor(() => hivemind.call('GET', '/leader').then((answer) => answer.status !== 503 && answer), {what: 'a leader'});
    expect(leader).toMatchObject({status: 200, body: {name: expect.stringContaining('standalone-'), provisional: false, revision: {n: expect.any(Number)}}});
    expect(await hivemind.call('GET', '/members/none')).toMatchObject({status: 404, body: {code: 'member-not-found'}});
  });
});
