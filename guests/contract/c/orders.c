// The shop's rules in C.

#include "plugin.h"

#include <stdlib.h>
#include <string.h>

typedef exports_demo_orders_orders_order_t order_t;
typedef exports_demo_orders_orders_bill_t bill_t;
typedef exports_demo_orders_orders_problem_t problem_t;

bool exports_plugin_reverse(plugin_list_u8_t *data, plugin_list_u8_t *ret, plugin_string_t *err)
{
    if (data->len == 0) {
        plugin_string_dup(err, "no bytes");
        return false;
    }
    for (size_t i = 0; i < data->len / 2; ++i) {
        uint8_t byte = data->ptr[i];
        data->ptr[i] = data->ptr[data->len - 1 - i];
        data->ptr[data->len - 1 - i] = byte;
    }
    *ret = *data;
    return true;
}

// Adds the lines to a bill. Returns false if an item is refused.
static bool add_lines(const order_t *order, bill_t *bill, problem_t *problem)
{
    for (size_t i = 0; i < order->items.len; ++i) {
        exports_demo_orders_orders_item_t *item = &order->items.ptr[i];
        if (item->quantity == 0 || item->quantity > 1000) {
            problem->tag = EXPORTS_DEMO_ORDERS_ORDERS_PROBLEM_QUANTITY;
            problem->val.quantity = item->quantity;
            return false;
        }
        plugin_tuple2_string_u64_t *line = &bill->lines.ptr[i];
        plugin_string_dup_n(&line->f0, (const char *)item->product.ptr, item->product.len);
        bill->lines.len = i + 1;
        uint64_t price;
        if (!demo_orders_shop_price(&item->product, &price)) {
            problem->tag = EXPORTS_DEMO_ORDERS_ORDERS_PROBLEM_UNKNOWN;
            plugin_string_dup_n(&problem->val.unknown, (const char *)item->product.ptr, item->product.len);
            return false;
        }
        line->f1 = price * item->quantity;
        bill->total += line->f1;
    }
    return true;
}

static bool is_ten(const plugin_string_t *code)
{
    return code->len == 3 && memcmp(code->ptr, "TEN", 3) == 0;
}

static char *append(char *to, const void *from, size_t len)
{
    if (len)
        memcpy(to, from, len);
    return to + len;
}

static void write_label(const order_t *order, plugin_string_t *label)
{
    static const char gift[] = " (gift)";
    const plugin_string_t *note = &order->note.val;
    char *text = malloc(order->customer.len + (order->note.is_some ? note->len : 0) + sizeof ": " + sizeof gift);
    if (!text)
        abort();
    char *end = append(text, order->customer.ptr, order->customer.len);
    if (order->note.is_some) {
        end = append(end, ": ", 2);
        end = append(end, note->ptr, note->len);
    }
    if (order->wishes & EXPORTS_DEMO_ORDERS_ORDERS_WISHES_GIFT)
        end = append(end, gift, sizeof gift - 1);
    label->ptr = (uint8_t *)text;
    label->len = end - text;
}

// Logs `N lines`.
static void log_lines(size_t count)
{
    char text[32];
    char *end = text + sizeof text, *at = append(end - 6, " lines", 6) - 6;
    do
        *--at = '0' + count % 10;
    while (count /= 10);
    plugin_string_t message = {(uint8_t *)at, end - at};
    demo_orders_shop_log(DEMO_ORDERS_SHOP_LEVEL_INFO, &message);
}

bool exports_demo_orders_orders_total(order_t *order, bill_t *bill, problem_t *problem)
{
    *bill = (bill_t){0};
    if (order->items.len == 0) {
        problem->tag = EXPORTS_DEMO_ORDERS_ORDERS_PROBLEM_EMPTY;
        exports_demo_orders_orders_order_free(order);
        return false;
    }
    bill->lines.ptr = calloc(order->items.len, sizeof *bill->lines.ptr);
    if (!bill->lines.ptr)
        abort();
    if (!add_lines(order, bill, problem)) {
        exports_demo_orders_orders_bill_free(bill);
        exports_demo_orders_orders_order_free(order);
        return false;
    }
    log_lines(bill->lines.len);
    if (order->discount.tag == EXPORTS_DEMO_ORDERS_ORDERS_DISCOUNT_PERCENT) {
        uint64_t percent = order->discount.val.percent;
        bill->total -= bill->total * (percent < 100 ? percent : 100) / 100;
    } else if (order->discount.tag == EXPORTS_DEMO_ORDERS_ORDERS_DISCOUNT_VOUCHER
               && is_ten(&order->discount.val.voucher)) {
        bill->total -= bill->total < 1000 ? bill->total : 1000;
    }
    if (order->wishes & EXPORTS_DEMO_ORDERS_ORDERS_WISHES_EXPRESS)
        bill->total += 500;
    write_label(order, &bill->label);
    exports_demo_orders_orders_order_free(order);
    return true;
}

bool exports_demo_orders_orders_mean(plugin_list_f64_t *samples, double *ret)
{
    double sum = 0;
    size_t count = samples->len;
    for (size_t i = 0; i < count; ++i)
        sum += samples->ptr[i];
    plugin_list_f64_free(samples);
    *ret = sum / count;
    return count > 0;
}

void exports_demo_orders_orders_echo(exports_demo_orders_orders_everything_t *values,
                                     exports_demo_orders_orders_everything_t *ret)
{
    *ret = *values;
}
