/* See generations.h. Each place goes from admission to settling by callbacks. */
#include "generations.h"

#include "engine.h"

struct generation {
    struct jini_request request; /* what the flow counts */
    jini_callback *done;
    struct generations *all;
    struct jini_admit admit;
    struct jini_settle settle;
};

static void finish(struct generation *generation, const struct jini_request *from)
{
    bool refused = from->status == JINI_E_LIMITED && generation->all->may_be_refused;
    generation->request.status = refused ? 0 : from->status;
    generation->request.error = from->error;
    generation->done(&generation->request);
}

static void on_settled(struct jini_request *request)
{
    finish(request->data, request);
}

static void on_admitted(struct jini_request *request)
{
    struct generation *generation = request->data;
    struct jini_settle *settle = &generation->settle;
    if (request->status) {
        finish(generation, request);
        return;
    }
    jini_request_init(settle);
    settle->request.data = generation;
    settle->job_id = generation->admit.job.id;
    if (jini_settle(generation->all->jini, settle, on_settled) != 0)
        finish(generation, &settle->request);
}

static void prepare(struct generations *all, struct jini_admit *admit)
{
    jini_request_init(admit);
    admit->subject.kind = JINI_SUBJECT_USER;
    uint64_t stride = all->users > all->count ? all->users / all->count : 1;
    admit->subject.number = 1 + (all->random ? bench_random_below(all->random, all->users)
                                             : (all->next - 1) * stride % all->users);
    admit->parameters = (struct jini_parameters){
        .width = 1024, .height = 1024, .steps = 30, .count = 1, .seed = (int64_t)all->next};
    admit->prompt = "a lighthouse on a cliff at dusk, oil on canvas, highly detailed";
}

static bool next(void *context, struct bench_flow_step *step)
{
    struct generations *all = context;
    struct generation *generation = (struct generation *)step->request;
    if (all->next == all->count)
        return false;
    if (all->next++ % (all->count / 100 + 1) == 0)
        bench_progress("generations: %d %%", (int)(100 * all->next / all->count));
    generation->done = step->callback;
    generation->all = all;
    prepare(all, &generation->admit);
    generation->admit.request.data = generation;
    int status = jini_admit(all->jini, &generation->admit, on_admitted);
    if (status)
        finish(generation, &generation->admit.request);
    return true;
}

static void run_singly(struct generations *all)
{
    struct jini_admit admit;
    struct jini_settle settle;
    while (all->next < all->count) {
        all->next++;
        prepare(all, &admit);
        bench_check(jini_admit(all->jini, &admit, NULL), &admit.request.error, "an admission");
        jini_request_init(&settle);
        settle.job_id = admit.job.id;
        bench_check(jini_settle(all->jini, &settle, NULL), &settle.request.error, "a settling");
    }
}

void generations_run(struct generations *all)
{
    struct bench_flow flow = {sizeof(struct generation), all->in_flight, next, all};
    all->next = 0;
    if (all->in_flight == 1)
        run_singly(all);
    else
        bench_flow_run(&flow);
}
