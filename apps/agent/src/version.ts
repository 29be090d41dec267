/** As reported to the control plane. */
export const version = '0.1.0';
