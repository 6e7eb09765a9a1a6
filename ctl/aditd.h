/* Runs aditd, which sets host state or, without a link, looks at it. */
#ifndef CTL_ADITD_H
#define CTL_ADITD_H

/* With these arguments (ended by NULL) and `in` as its stdin (-1: ours), and waits: for a link in the background, until
 * it is up. Its stdout and stderr are ours: it has said why it failed. Its exit status, or one of command.h when it
 * could not be run. */
int aditd_run(char *const arguments[], int in);

/* The same, but this process becomes it; returns only when it could not. */
int aditd_become(char *const arguments[]);

#endif
