/*
 * Jini: users, tiers, limits, jobs and images of a service that sells generated images, in one
 * embedded database. This header is all of the public interface; each part explains itself:
 *
 *   engine.h       open and close, loops, transactions
 *   request.h      how work is given and comes back
 *   accounts.h     users and tiers
 *   limits.h       rate limits and quotas
 *   admission.h    may this generation run?
 *   generations.h  jobs and images as records
 *   images.h       storing and reading images
 *   packs.h        packs as files, without a database
 *   ledger.h       accounts and transfers
 *   grants.h       credits
 *   events.h       what happened
 *   consumers.h    and who acts on it
 *   payments.h     prices, payments, subscriptions
 *   archive.h      tiering, and the check of everything
 *   backup.h       copies of a database with its images
 *   options.h      what can be set
 *   status.h       what calls answer
 *   error.h        and what it was about
 *   id.h           128-bit ids
 *   clock.h, log.h, allocator.h
 */
#ifndef JINI_JINI_H
#define JINI_JINI_H

#include <jini/accounts.h>
#include <jini/admission.h>
#include <jini/allocator.h>
#include <jini/archive.h>
#include <jini/backup.h>
#include <jini/consumers.h>
#include <jini/engine.h>
#include <jini/events.h>
#include <jini/generations.h>
#include <jini/grants.h>
#include <jini/id.h>
#include <jini/images.h>
#include <jini/keys.h>
#include <jini/ledger.h>
#include <jini/limits.h>
#include <jini/options.h>
#include <jini/packs.h>
#include <jini/payments.h>
#include <jini/queue.h>
#include <jini/request.h>
#include <jini/status.h>
#include <jini/why.h>

#endif
