import {waitFor} from '@hivemind/testkit';
import {Alarm, monotonic, secureRandom} from './clock.ts';

describe('an alarm', () => {
  it('rings once its moment has come, not before', async () => {
    const due = monotonic() + 30;
    const rang: number[] = [];
    const alarm = new Alarm(monotonic, () => 0, () => void rang.push(monotonic()));
    alarm.set(due);
    await waitFor(() => rang.length > 0, {what: 'the alarm'});
    expect(rang[0]).toBeGreaterThanOrEqual(due - 1);
    expect(rang).toHaveLength(1);
  });

  it('is brought forward', async () => {
    let rang = 0;
    const alarm = new Alarm(monotonic, () => 0, () => void (rang += 1));
    alarm.set(monotonic() + 1_000_000);
    alarm.set(monotonic());
    await waitFor(() => rang === 1, {what: 'the earlier moment'});
    alarm.stop();
  });

  it('lets the socket be read until it is empty, and only so long', async () => {
    const arriving = [10, 20, 30, 30];
    let rounds = 0;
    const read: number[] = [];
    const alarm = new Alarm(monotonic, () => arriving[Math.min(rounds++, 3)] ?? 30, () => void read.push(rounds));
    alarm.set(0);
    await waitFor(() => read.length > 0, {what: 'the alarm after the socket'});
    expect(read[0]).toBe(4);

    let endless = 0;
    let rang = false;
    const flooded = new Alarm(monotonic, () => endless++, () => void (rang = true));
    flooded.set(0);
    await waitFor(() => rang, {what: 'the alarm in spite of a flood'});
    expect(endless).toBeLessThan(100);
  });

  it('is silent once stopped', async () => {
    let rang = false;
    const alarm = new Alarm(monotonic, () => 0, () => void (rang = true));
    alarm.set(0);
    alarm.stop();
    alarm.set(0);
    let later = false;
    const witness = new Alarm(monotonic, () => 0, () => void (later = true));
    witness.set(monotonic() + 5);
    await waitFor(() => later, {what: 'a later alarm'});
    expect(rang).toBe(false);
  });
});

describe('chance', () => {
  it('is spread over [0, 1)', () => {
    const drawn = Array.from({length: 5000}, () => secureRandom());
    expect(drawn.every((value) => value >= 0 && value < 1)).toBe(true);
    const tenths = Array.from({length: 10}, (_, n) => drawn.filter((value) => Math.floor(value * 10) === n).length);
    expect(Math.min(...tenths)).toBeGreaterThan(300);
  });
});
